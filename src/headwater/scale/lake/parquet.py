"""A table as Parquet files in a folder, partitioned as Hive does it; each row exactly once, kill or not.

::

    events/payments/
      _lake.json                               columns, and the place that the files reach
      event_date=2026-01-31/part-00000000000000001234.parquet
                                               the offset of its first row

A partition's last file grows until it is large enough, by being replaced whole: a reader opens the old one or
the new one, and finds no row twice and none missing. What is written at one time goes through three steps,
each on disk before the next begins::

    1  the new files, under names that readers pass over      killed here: they are removed, nothing happened
    2  _lake.json: these files are to be, and the new place   killed from here on: whoever comes next
    3  each file gets its name; _lake.json: done              goes on with 3

Needs a disk that renames whole (any local one); for object stores there is ``delta``. Called by ``export``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from headwater.core.errors import StoreError
from headwater.scale.lake.source import Chunk
from headwater.scale.lake.table import Table, grown, partitions

NOTE = "_lake.json"
FORMAT = 1
LARGE = 64 * 2**20  # bytes of a file that grows no more
_PART, _WHOLE, _COMING = "part-", ".parquet", ".coming"


@dataclass(frozen=True)
class State:
    """What the note says.

    Attributes:
        table: as it was written last.
        place: that the files reach.
        mark: what stands before it in the source.
        rows: in all files.
        coming: files that are to get their names, relative to the table.
    """

    table: Table
    place: int = 0
    mark: str = ""
    rows: int = 0
    coming: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        facts = {"format": FORMAT, "place": self.place, "mark": self.mark, "rows": self.rows}
        return facts | {"coming": list(self.coming)} | self.table.to_json()

    @classmethod
    def read(cls, folder: Path) -> State | None:
        """What the note of a table's folder says; None if there is none.

        Raises:
            StoreError: it is damaged, or of a newer version.
        """
        path = folder / NOTE
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            known = {FORMAT: facts}[facts["format"]]
            coming = tuple(known["coming"])
            return cls(Table.from_json(known), known["place"], known["mark"], known["rows"], coming)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError.of(
                "the note of a table in the lake cannot be read",
                expected=f"JSON of format {FORMAT}",
                got=f"{type(error).__name__}: {str(error)[:100]}",
                where=str(path),
                do="export into another folder, or move this table away; the next export makes it anew",
            ) from None


class ParquetTable:
    """A table's folder, for the one that writes it. Open it with :meth:`open`.

    Attributes:
        state: how far it is.
    """

    def __init__(self, folder: Path, state: State, large: int = LARGE) -> None:
        """Use :meth:`open`."""
        self._folder = folder
        self._large = large
        self.state = state

    @classmethod
    def open(cls, folder: Path, table: Table, large: int = LARGE) -> ParquetTable:
        """Open a table, made if there is none; finish what a killed export began, remove what it left.

        Args:
            folder: the table's.
            table: as the definition has it now.
            large: bytes of a file that grows no more.

        Raises:
            DataError: the table that is there cannot go on as this one.
            StoreError: its note cannot be read.
        """
        folder.mkdir(parents=True, exist_ok=True)
        found = State.read(folder)
        if found is None:
            _foreign(folder)
            self = cls(folder, State(table), large)
        else:
            whole = replace(found, table=grown(found.table, table, str(folder)))
            self = cls(folder, whole, large)
        self._finish()
        for left in folder.glob(f"*/*{_COMING}"):
            left.unlink()
        self._note(self.state)
        return self

    def append(self, chunk: Chunk, mark: str) -> int:
        """Write rows and how far they reach, all or none; how many files were written."""
        table = self.state.table
        rows = table.fit(chunk.frame)
        names = tuple(
            self._write(f"{table.date}={key}", part) for key, part in partitions(table, rows, chunk.dates)
        )
        total = self.state.rows + len(rows)
        self._note(State(table, chunk.reached, mark, total, names))
        self._finish()
        return len(names)

    def close(self) -> None:
        """Nothing is held."""

    def _write(self, partition: str, rows: pl.DataFrame) -> str:
        """The file that rows of a partition go into, whole, under a name that readers pass over."""
        place = self._folder / partition
        place.mkdir(exist_ok=True)
        tail = max(place.glob(f"{_PART}*{_WHOLE}"), default=None)
        if tail is not None and tail.stat().st_size < self._large:
            before = pl.read_parquet(tail, hive_partitioning=False)
            rows = pl.concat([self.state.table.fit(before), rows])
            name = tail.name
        else:
            name = f"{_PART}{rows[self.state.table.order][0]:020d}{_WHOLE}"
        with (place / f"_{name}{_COMING}").open("wb") as file:
            rows.write_parquet(file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        return f"{partition}/{name}"

    def _finish(self) -> None:
        if not self.state.coming:
            return
        for name in self.state.coming:
            whole = self._folder / name
            coming = whole.with_name(f"_{whole.name}{_COMING}")
            if coming.exists():  # else it has its name already
                coming.replace(whole)
        for folder in {(self._folder / name).parent for name in self.state.coming}:
            _settle(folder)
        _settle(self._folder)
        self._note(replace(self.state, coming=()))

    def _note(self, state: State) -> None:
        """Write the note, whole and on disk; then it is so."""
        path = self._folder / NOTE
        beside = path.with_name(f"{NOTE}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(state.to_json(), indent=1, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _settle(self._folder)
        self.state = state


def files(folder: Path) -> Iterator[Path]:
    """The files of a table that readers see."""
    return folder.glob(f"*/{_PART}*{_WHOLE}")


def _foreign(folder: Path) -> None:
    """A folder with files that no note speaks of is somebody else's.

    Raises:
        StoreError: it is.
    """
    found = next((path for path in folder.rglob("*.parquet")), None)
    if found is not None:
        raise StoreError.of(
            "there are files where a table of the lake is to be, and nothing says how far they go",
            expected=f"an empty folder, or one with {NOTE}",
            got=found.relative_to(folder).as_posix(),
            where=str(folder),
            do="export into another folder, or move these files away",
        )


def _settle(folder: Path) -> None:
    """Names in a folder onto the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
