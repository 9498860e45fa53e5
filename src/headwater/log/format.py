"""The record format: columns of events as bytes, one canonical byte string for one content.

A *record* holds n rows of one stream. Its bytes depend on the content alone: not on the library version
that wrote it, not on how the rows were cut or merged before. So the hash chain survives compaction, and a
record can be read with numpy and this page in thirty years::

    header     8 bytes   magic "HWR", version (1), column count (u16), codec (u8: 0 = raw), reserved (u8)
               4 bytes   row count (u32)
    directory  8 bytes per column: flags (u8: 1 = has nulls, 2 = text, 4 = sealed), width (u8), 2 reserved,
                                   size of a text column's characters (u32)
    columns    each part padded with zeros to a multiple of 8:
                 nulls     packed bits, lowest first, 1 = there; only with flag 1
                 fixed     n values of `width` bytes, little endian; a null is 0
                 text      n + 1 ends (u32, from 0), then UTF-8 characters

Enums are stored as codes in the fewest bytes that hold them, categoricals as text, booleans as a byte,
times as their integer. Flag 4 and the reserved bytes are the place of sealed personal columns: a text
column whose values are envelopes (see design note 0004); this version refuses to read them.

Called by ``segments`` (write, read), ``compaction`` and ``integrity``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from headwater.core.batch import Int64
from headwater.core.errors import LogError, Problem
from headwater.core.instant import DAY
from headwater.log.schema import StoredColumn, StoredSchema

VERSION = 1
MAX_TEXT = 2**31 - 1  # bytes of one text column in one record

NULLS, TEXT, SEALED = 1, 2, 4  # flags of a column

_MAGIC = b"HWR"
_HEADER = struct.Struct("<3sBHBBI")
_ENTRY = struct.Struct("<BBHI")
_OLDEST = pl.CompatLevel.oldest()
_PADDING = (b"", b"\0" * 7, b"\0" * 6, b"\0" * 5, b"\0" * 4, b"\0" * 3, b"\0" * 2, b"\0")

_FIXED: dict[str, tuple[str, pa.DataType]] = {
    "Int8": ("<i1", pa.int8()),
    "Int16": ("<i2", pa.int16()),
    "Int32": ("<i4", pa.int32()),
    "Int64": ("<i8", pa.int64()),
    "UInt8": ("<u1", pa.uint8()),
    "UInt16": ("<u2", pa.uint16()),
    "UInt32": ("<u4", pa.uint32()),
    "UInt64": ("<u8", pa.uint64()),
    "Float32": ("<f4", pa.float32()),
    "Float64": ("<f8", pa.float64()),
    "Boolean": ("<u1", pa.uint8()),
    "Date": ("<i4", pa.date32()),
}

_NUMBERS = frozenset(_FIXED) - {"Boolean", "Date"}

Array = npt.NDArray[np.generic]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the values of one column lie in a record; made once per schema."""

    column: StoredColumn
    numpy: np.dtype[np.generic] | None  # None for text
    arrow: pa.DataType

    @property
    def plain(self) -> bool:
        """Whether values are numbers or times, and lie in Polars as they lie here."""
        return self.column.type in _NUMBERS or isinstance(self.arrow, pa.TimestampType)

    @classmethod
    def of(cls, column: StoredColumn) -> Layout:
        """The layout of a stored column."""
        if column.type in ("String", "Categorical"):
            return cls(column, None, pa.string())
        if column.type == "Enum":
            size = len(column.categories)
            code = "UInt8" if size <= 2**8 else "UInt16" if size <= 2**16 else "UInt32"
            return cls(column, np.dtype(_FIXED[code][0]), _FIXED[code][1])
        dtype = column.dtype
        if isinstance(dtype, pl.Datetime):
            return cls(column, np.dtype("<i8"), pa.timestamp(dtype.time_unit, dtype.time_zone))
        return cls(column, np.dtype(_FIXED[column.type][0]), _FIXED[column.type][1])


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one column as arrays, in canonical form: what a null hides is zero or empty.

    Attributes:
        values: shape (n,) fixed-width values, or the UTF-8 characters (uint8) of a text column.
        ends: uint32, shape (n + 1,), of a text column; None for fixed width.
        valid: shape (n,), or None when nothing is null.
    """

    values: Array
    ends: npt.NDArray[np.uint32] | None
    valid: Bools | None

    def __getitem__(self, rows: slice) -> Column:
        valid = None if self.valid is None else self.valid[rows]
        if valid is not None and valid.all():
            valid = None
        if self.ends is None:
            return Column(self.values[rows], None, valid)
        ends = self.ends[rows.start : rows.stop + 1]
        return Column(self.values[ends[0] : ends[-1]], ends - ends[0], valid)


@dataclass(frozen=True, slots=True)
class Columns:
    """All columns of some rows of one stream, in the order of the schema."""

    rows: int
    columns: tuple[Column, ...]

    def __getitem__(self, rows: slice) -> Columns:
        start, stop, _ = rows.indices(self.rows)
        exact = slice(start, max(start, stop))
        return Columns(exact.stop - exact.start, tuple(column[exact] for column in self.columns))


class Codec:
    """Frames to records and back, for one version of a stream's schema.

    Example:
        >>> import headwater.log.schema as stored
        >>> schema = stored.StoredSchema("s", (stored.StoredColumn("a", "Int64"),), None, "a")
        >>> codec = Codec(schema)
        >>> codec.frame(codec.parse(codec.encode(codec.columns(pl.DataFrame({"a": [1, None]}))))).rows()
        [(1,), (None,)]
    """

    def __init__(self, schema: StoredSchema) -> None:
        self.schema = schema
        self.layouts = tuple(Layout.of(column) for column in schema.columns)
        self._time = schema.names.index(schema.time)
        self._id = None if schema.id is None else schema.names.index(schema.id)

    def columns(self, frame: pl.DataFrame) -> Columns:
        """The frame's columns as canonical arrays; the frame has exactly the schema's columns and types."""
        series = frame.get_columns()
        return Columns(frame.height, tuple(map(_from_series, self.layouts, series)))

    def encode(self, columns: Columns) -> bytes:
        """The canonical bytes of these columns."""
        entries: list[tuple[int, int, int]] = []
        body: list[bytes] = []
        for column in columns.columns:
            flags = 0
            if column.valid is not None:
                flags |= NULLS
                body.append(_padded(np.packbits(column.valid, bitorder="little").tobytes()))
            size = 0
            if column.ends is not None:
                flags |= TEXT
                size = column.values.size
                body.append(_padded(column.ends.tobytes()))
            entries.append((flags, column.values.dtype.itemsize, size))
            body.append(_padded(column.values.tobytes()))
        return b"".join([head(columns.rows, entries), *body])

    def parse(self, record: bytes) -> Columns:
        """The columns of a record, as views into its bytes.

        Raises:
            LogError: the bytes are no record of this schema.
        """
        try:
            rows, entries, at = _directory(record, len(self.layouts))
            columns = []
            for layout, (flags, width, _, size) in zip(self.layouts, entries, strict=True):
                if bool(flags & TEXT) != (layout.numpy is None):
                    raise _unreadable(f"column {layout.column.name!r} has another kind")
                column, at = _view(record, at, rows, flags, width, size, layout)
                columns.append(column)
        except (struct.error, ValueError, IndexError) as error:
            raise _unreadable(str(error)) from None
        return Columns(rows, tuple(columns))

    def frame(self, columns: Columns) -> pl.DataFrame:
        """The frame of these columns, with the schema's types."""
        series = map(_to_series, self.layouts, columns.columns)
        return pl.DataFrame(list(series))

    def time(self, columns: Columns) -> Int64:
        """The event times in microseconds, shape (n,)."""
        return microseconds(columns.columns[self._time].values, self.schema.columns[self._time].dtype)

    def ids(self, columns: Columns) -> pl.Series:
        """The id column of a stream that has one."""
        if self._id is None:
            raise ValueError(f"stream {self.schema.stream!r} has no id")
        return _to_series(self.layouts[self._id], columns.columns[self._id])


def head(rows: int, entries: Sequence[tuple[int, int, int]]) -> bytes:
    """What comes before the columns of a record; ``entries`` are flags, width and characters of each."""
    parts = [_HEADER.pack(_MAGIC, VERSION, len(entries), 0, 0, rows)]
    parts += [_ENTRY.pack(flags, width, 0, size) for flags, width, size in entries]
    return _padded(b"".join(parts))


def concat(many: Sequence[Columns]) -> Columns:
    """Rows one after the other.

    Example:
        >>> one = Columns(1, (Column(np.array([7]), None, None),))
        >>> concat([one, one]).columns[0].values.tolist()
        [7, 7]
    """
    if len(many) == 1:
        return many[0]
    rows = [columns.rows for columns in many]
    merged = (_concat(column, rows) for column in zip(*(columns.columns for columns in many), strict=True))
    return Columns(sum(rows), tuple(merged))


def microseconds(values: Array, dtype: pl.DataType) -> Int64:
    """Stored values of a time column as microseconds; finer units round towards the past."""
    whole = values.astype(np.int64, copy=False)
    times, parts = micros_scale(dtype)
    return whole * times if times > 1 else whole // parts if parts > 1 else whole


def micros_scale(dtype: pl.DataType) -> tuple[int, int]:
    """How many microseconds a stored time is: times the first, divided by the second."""
    if isinstance(dtype, pl.Date):
        return DAY, 1
    unit = dtype.time_unit if isinstance(dtype, pl.Datetime) else "us"
    return (1_000, 1) if unit == "ms" else (1, 1_000) if unit == "ns" else (1, 1)


def _from_series(layout: Layout, series: pl.Series) -> Column:
    if layout.plain and series.n_chunks() == 1 and not series.null_count():
        # Several times as quick as by Arrow, which counts for single events.
        whole = series if layout.column.type in _FIXED else series.cast(pl.Int64)
        return Column(whole.to_numpy().astype(layout.numpy, copy=False), None, None)
    valid: Bools | None = None
    if layout.column.type == "Categorical":
        series = series.cast(pl.String)
    if layout.column.type == "Boolean":
        series = series.cast(pl.UInt8)
    if series.null_count():
        valid = series.is_not_null().to_numpy()
    if series.n_chunks() > 1:
        series = series.rechunk()
    array = series.to_arrow(compat_level=_OLDEST)
    source = layout.numpy
    if isinstance(array, pa.DictionaryArray):
        array = array.indices
        source = np.dtype(f"<u{array.type.bit_width // 8}")
    start, stop = array.offset, array.offset + len(series)
    buffers = array.buffers()
    if layout.numpy is None:
        return _from_text(buffers, start, stop, valid)
    values: Array = np.frombuffer(buffers[1], source)[start:stop]
    values = values.astype(layout.numpy, copy=False)
    return Column(values if valid is None else np.where(valid, values, values.dtype.type(0)), None, valid)


def _from_text(buffers: list[pa.Buffer], start: int, stop: int, valid: Bools | None) -> Column:
    ends = np.frombuffer(buffers[1], dtype=np.int64)[start : stop + 1]
    if ends[-1] - ends[0] > MAX_TEXT:
        raise LogError.of(
            "a text column is too large for one record",
            expected=f"at most {MAX_TEXT:,} bytes in 65,536 events",
            got=f"{ends[-1] - ends[0]:,} bytes",
            do="append fewer events at a time",
        )
    data = buffers[2]
    characters = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, np.uint8)
    if valid is None:
        return Column(characters[ends[0] : ends[-1]], (ends - ends[0]).astype(np.uint32), None)
    sizes = np.where(valid, np.diff(ends), 0)
    if int(sizes.sum()) != int(ends[-1] - ends[0]):  # characters under a null: leave them out
        kept = [characters[a:b] for a, b, there in zip(ends[:-1], ends[1:], valid, strict=True) if there]
        characters = np.concatenate([np.empty(0, np.uint8), *kept])
    else:
        characters = characters[ends[0] : ends[-1]]
    return Column(characters, np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint32), valid)


def _to_series(layout: Layout, column: Column) -> pl.Series:
    kind, name, rows = layout.column.type, layout.column.name, len(column.values)
    nulls = None
    if column.valid is not None:
        nulls = pa.py_buffer(np.packbits(column.valid, bitorder="little"))
    if column.ends is not None:
        rows = len(column.ends) - 1
        buffers = [nulls, pa.py_buffer(column.ends), pa.py_buffer(column.values)]
    else:
        buffers = [nulls, pa.py_buffer(column.values)]
    series = pl.Series(name, pa.Array.from_buffers(layout.arrow, rows, buffers))
    if kind == "Enum":
        return series.cat.to(layout.column.dtype)
    if kind in ("Categorical", "Boolean"):
        return series.cast(layout.column.dtype)
    return series


def _concat(columns: Sequence[Column], rows: Sequence[int]) -> Column:
    valid: Bools | None = None
    if any(column.valid is not None for column in columns):
        valid = np.concatenate(
            [
                np.ones(n, np.bool_) if column.valid is None else column.valid
                for column, n in zip(columns, rows, strict=True)
            ]
        )
    values = np.concatenate([column.values for column in columns])
    if columns[0].ends is None:
        return Column(values, None, valid)
    sizes = np.concatenate([np.diff(column.ends) for column in columns if column.ends is not None])
    ends = np.zeros(len(sizes) + 1, np.uint32)
    np.cumsum(sizes, out=ends[1:])
    return Column(values, ends, valid)


def _directory(record: bytes, count: int) -> tuple[int, Iterator[tuple[int, int, int, int]], int]:
    magic, version, columns, codec, _, rows = _HEADER.unpack_from(record)
    if magic != _MAGIC:
        raise _unreadable("it does not begin with 'HWR'")
    if version != VERSION or codec != 0:
        raise LogError.of(
            "a record was written by a newer Headwater",
            expected=f"record version {VERSION}, codec 0",
            got=f"record version {version}, codec {codec}",
            do="open this log with the Headwater that wrote it, or a newer one",
        )
    if columns != count:
        raise _unreadable(f"it has {columns} columns where the schema has {count}")
    start = _HEADER.size
    stop = start + _ENTRY.size * columns
    entries = _ENTRY.iter_unpack(memoryview(record)[start:stop])
    return rows, entries, stop + (-stop % 8)


def _view(
    record: bytes, at: int, rows: int, flags: int, width: int, size: int, layout: Layout
) -> tuple[Column, int]:
    if flags & SEALED:
        raise LogError.of(
            f"the column {layout.column.name!r} is sealed",
            expected="a record without sealed columns",
            do="open this log with a Headwater that holds the keys of its subjects",
        )
    valid: Bools | None = None
    if flags & NULLS:
        packed = np.frombuffer(record, np.uint8, (rows + 7) // 8, at)
        valid = np.unpackbits(packed, count=rows, bitorder="little").view(np.bool_)
        at += packed.size + (-packed.size % 8)
    if layout.numpy is None:
        ends = np.frombuffer(record, "<u4", rows + 1, at)
        at += ends.nbytes + (-ends.nbytes % 8)
        values: Array = np.frombuffer(record, np.uint8, size, at)
        return Column(values, ends, valid), at + size + (-size % 8)
    if width != layout.numpy.itemsize:
        raise _unreadable(f"column {layout.column.name!r} has values of {width} bytes")
    values = np.frombuffer(record, layout.numpy, rows, at)
    return Column(values, None, valid), at + values.nbytes + (-values.nbytes % 8)


def _padded(data: bytes) -> bytes:
    return data + _PADDING[len(data) % 8] if len(data) % 8 else data


def _unreadable(why: str) -> LogError:
    return LogError(
        Problem(
            "a record of the log cannot be read",
            expected="a record of the format that design note 0004 describes",
            got=why,
            do="run `headwater log verify`, then restore the log from a copy",
        )
    )
