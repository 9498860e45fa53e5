"""Event files in parts that fit in memory: CSV, Parquet, NDJSON; every defect of a file as a letter.

A file is taken whole or not at all: a part is handed out as soon as it is read, but nothing is appended
before the last one came without a complaint (see ``run``). Values of rows never show in a letter, since it
is not known yet which are personal.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

from headwater.core.errors import DataError

ROWS = 131_072
_ROW = re.compile(r"Row #(\d+)")
_BLOCK = 8 * 2**20  # bytes of CSV at once
_MAGIC = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PAR1": "Parquet", b"\x1f\x8b": "gzip", b"PK": "zip"}


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a file.

    Attributes:
        frame: the rows, columns as in the file; all texts where the file is CSV.
        first: the place of the first row in the file, from 0.
        done: how much of the file was read, in bytes.
    """

    frame: pl.DataFrame
    first: int
    done: int


@dataclass(frozen=True, slots=True)
class Form:
    """How a CSV file is written.

    Attributes:
        separator: between the fields.
        whole: take the last row even if no line break follows it, which is how a file looks that was cut off.
    """

    separator: str = ","
    whole: bool = False


def parts(path: Path, form: Form = Form()) -> Iterator[Part]:
    """The rows of a file, in order.

    Args:
        path: a ``.csv``, ``.parquet`` or ``.ndjson`` (``.jsonl``) file.
        form: how it is written, if it is CSV.

    Raises:
        DataError: the file is missing, empty, damaged, cut off, in another encoding, or of no known kind.
    """
    reader = _reader(path)
    if not path.exists():
        raise DataError.of("the file does not exist", where=str(path), do="look at the path")
    if path.is_dir():
        raise DataError.of(
            "a folder cannot be imported", expected="a file", where=str(path), do="name the files in it"
        )
    if path.stat().st_size == 0:
        raise DataError.of("the file is empty", where=str(path), do="look at how it was written or copied")
    return reader(path, form)


def texts(path: Path) -> bool:
    """Whether values of this file come as text, so that numbers in texts are numbers."""
    return _reader(path) is not _parquet


def _reader(path: Path) -> Callable[[Path, Form], Iterator[Part]]:
    found = _READERS.get(path.suffix.lower())
    if found is None:
        raise DataError.of(
            "the kind of the file is not known",
            expected="a name that ends in " + ", ".join(_READERS),
            got=path.name,
            where=str(path),
            do="convert the file, or rename it if it is one of these",
        )
    return found


# --- CSV -----------------------------------------------------------------------------------------


class _Counted(io.RawIOBase):
    """A file that notes how much was read, and whether a quote is open at its end."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.done = self.quotes = 0
        self.last = b""

    def read(self, size: int = -1, /) -> bytes:
        block = self._file.read(size)
        self.done += len(block)
        self.quotes += block.count(b'"')
        self.last = block[-1:] or self.last
        return block

    def readable(self) -> bool:
        return True


def _csv(path: Path, form: Form) -> Iterator[Part]:
    names = _header(path, form.separator)
    odd: list[Any] = []

    def refuse(row: Any) -> str:
        odd.append(row)
        return "error"

    with path.open("rb") as raw:
        counted = _Counted(raw)
        first = 0
        try:
            reader = arrow_csv.open_csv(
                pa.PythonFile(counted, mode="r"),
                read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=form.separator, invalid_row_handler=refuse, newlines_in_values=True
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={name: pa.string() for name in names},
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            for batch in reader:
                yield Part(_frame(batch), first, counted.done)
                first += batch.num_rows
        except pa.ArrowInvalid as error:
            if first or "cannot infer number of columns" not in str(error):  # that is a header without rows
                raise _csv_letter(path, str(error), odd, first) from None
        if not first:
            yield Part(pl.DataFrame(schema=dict.fromkeys(names, pl.String)), 0, counted.done)
        if counted.quotes % 2:
            raise DataError.of(
                "the file ends inside a quoted field: it was cut off, or a quote is not closed",
                expected="each quote closed",
                where=str(path),
                do="write or copy the file again",
            )
        if counted.last not in (b"\n", b"\r") and not form.whole:
            raise DataError.of(
                "the last row of the file does not end with a line break: it may have been cut off",
                expected="a line break behind each row",
                where=f"{path}, row {first + 1}",
                do="write or copy the file again; if it is whole, say --whole",
            )


def _header(path: Path, separator: str) -> list[str]:
    with path.open("rb") as file:
        start = file.read(4)
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    if kind is not None:
        raise _encoding(path, kind)
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
            names = next(csv.reader(file, delimiter=separator), [])
    except csv.Error:
        raise _encoding(path, "bytes that are no text") from None
    if any("\udc80" <= letter <= "\udcff" for name in names for letter in name):
        raise _encoding(path, "other bytes in its header")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError.of(
            "the header of the file names a column twice",
            expected="each column once",
            got=", ".join(map(repr, twice)),
            where=str(path),
            do="rename or drop one of them",
        )
    return names


def _encoding(path: Path, got: str) -> DataError:
    return DataError.of(
        "the file is not text in UTF-8",
        expected="CSV in UTF-8",
        got=got,
        where=str(path),
        do="convert it, for example with `iconv -t UTF-8`, or rename it if it is of another kind",
    )


def _csv_letter(path: Path, text: str, odd: list[Any], first: int) -> DataError:
    if odd:
        row = odd[0]
        fewer = row.actual_columns < row.expected_columns
        return DataError.of(
            "a row of the file has fewer fields than the header: the file was cut off, or the row is broken"
            if fewer
            else "a row of the file has more fields than the header",
            expected=f"{row.expected_columns} fields",
            got=f"{row.actual_columns} fields",
            where=f"{path}, row {row.number}"
            if row.number is not None
            else f"{path}, behind row {first + 1}",
            do="write or copy the file again; a field that holds the separator must stand in quotes",
        )
    if "UTF8" in text:
        row = _ROW.search(text)
        return _encoding(
            path, f"other bytes in row {row[1]}" if row else f"other bytes behind row {first + 1}"
        )
    return DataError.of(
        "the file cannot be read as CSV",
        expected="rows of fields, quotes closed",
        got="a row longer than 8 MB" if "straddl" in text else "broken rows",
        where=f"{path}, behind row {first + 1}",
        do="look for a quote that is not closed, or a file that was cut off",
    )


# --- Parquet -------------------------------------------------------------------------------------


def _parquet(path: Path, form: Form) -> Iterator[Part]:  # noqa: ARG001 - the same shape for all kinds
    size, first = path.stat().st_size, 0
    try:
        with arrow_parquet.ParquetFile(path) as file:
            total = max(1, file.metadata.num_rows)
            if not file.metadata.num_rows:
                yield Part(_frame(file.schema_arrow.empty_table()), 0, size)
            for batch in file.iter_batches(ROWS):
                yield Part(_frame(batch), first, size * (first + batch.num_rows) // total)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError.of(
            "the file cannot be read as Parquet: it is damaged, was cut off, or is of another kind",
            expected="a whole Parquet file",
            got=type(error).__name__,
            where=str(path),
            do="write or copy the file again",
        ) from None


# --- NDJSON --------------------------------------------------------------------------------------


def _ndjson(path: Path, form: Form) -> Iterator[Part]:  # noqa: ARG001 - the same shape for all kinds
    with path.open("rb") as file:
        first = line = 0
        while lines := list(islice(file, ROWS)):
            events = [_event(path, line + place, text) for place, text in enumerate(lines) if text.strip()]
            line += len(lines)
            if events:
                yield Part(_columns(events), first, file.tell())
            first += len(events)


def _event(path: Path, line: int, text: bytes) -> dict[str, Any]:
    try:
        event = json.loads(text)
    except UnicodeDecodeError:
        raise _encoding(path, f"other bytes in line {line + 1}") from None
    except ValueError:
        cut = not text.endswith(b"\n")
        raise DataError.of(
            "the file ends in the middle of an event: it was cut off" if cut else "a line is not JSON",
            expected="one JSON object in each line",
            where=f"{path}, line {line + 1}",
            do="write or copy the file again" if cut else "mend this line",
        ) from None
    if not isinstance(event, dict):
        raise DataError.of(
            "a line is not an event",
            expected="one JSON object in each line",
            got=type(event).__name__,
            where=f"{path}, line {line + 1}",
            do="write each event as an object on a line of its own",
        )
    return event


def _columns(events: list[dict[str, Any]]) -> pl.DataFrame:
    names = dict.fromkeys(name for event in events for name in event)
    return pl.DataFrame([_series(name, [event.get(name) for event in events]) for name in names])


def _series(name: str, values: list[Any]) -> pl.Series:
    """A column in its own type; one that mixes types, or holds lists or objects, as texts."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or kinds in ({str}, {bool}):
        try:
            return pl.Series(name, values, dtype=pl.Float64 if kinds == {int, float} else None)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):  # an integer beyond 64 bits
            pass
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _frame(batch: Any) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


_READERS: dict[str, Callable[[Path, Form], Iterator[Part]]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".ndjson": _ndjson,
    ".jsonl": _ndjson,
}
