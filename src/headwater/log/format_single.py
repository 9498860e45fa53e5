"""Records of one event: written straight from its values, and many of them read at once.

A live log is fed event by event, and to take a frame of one row apart as if it had a million costs several
times the work itself. The bytes are those of ``format``; tests hold them equal. Called by ``single``
(write) and ``segments`` (read).

What a record of one event looks like depends on its nulls and the sizes of its texts alone, so each such
shape is worked out once::

    header, directory │ a value: its bytes, padded to 8
                      │ a text:  0 and its size (u32 each), its characters, padded to 8
                      │ a null:  8 bytes that say so, 8 bytes of nothing
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Int64
from headwater.log.format import NULLS, TEXT, Array, Codec, Column, Columns, Layout, head, micros_scale

Value = int | float | str | bool | None
Shape = tuple[int, ...]  # per column the size of its text, or one of the next two

_NULL, _FIXED = -1, -2
_SHAPES = 4_096  # remembered
_TEMPORAL = (pl.Datetime, pl.Date)
_CODE = {
    "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f4": "f", "f8": "d",
}  # fmt: skip
_NOTHING: tuple[Any, Any] = (0, "")  # what lies under a null: of a value, of a text
_PACKED = {
    "i1": "b7x", "i2": "h6x", "i4": "i4x", "i8": "q", "u1": "B7x", "u2": "H6x", "u4": "I4x", "u8": "Q",
    "f4": "f4x", "f8": "d",
}  # fmt: skip


class SingleCodec:
    """Frames of one row to records, for one version of a stream's schema.

    Example:
        >>> from headwater.log.schema import StoredColumn, StoredSchema
        >>> codec = Codec(StoredSchema("s", (StoredColumn("a", "String"),), None, "a"))
        >>> frame = pl.DataFrame({"a": ["x"]})
        >>> single = SingleCodec(codec)
        >>> single.encode(single.values(frame)) == codec.encode(codec.columns(frame))
        True
    """

    def __init__(self, codec: Codec) -> None:
        schema, self._layouts = codec.schema, codec.layouts
        self._empty = pl.DataFrame(schema=schema.frame_schema)
        self._dtypes = schema.dtypes
        self._temporal = [isinstance(dtype, _TEMPORAL) for dtype in schema.dtypes]
        self._codes = [
            (place, {name: code for code, name in enumerate(column.categories)})
            for place, column in enumerate(schema.columns)
            if column.type == "Enum"
        ]
        self._code_of = {place: {**codes, None: 0} for place, codes in self._codes}
        self.id_place = None if schema.id is None else schema.names.index(schema.id)
        self.time_place = schema.names.index(schema.time)
        self._times, self._parts = micros_scale(schema.dtypes[self.time_place])
        self._text = [layout.numpy is None for layout in codec.layouts]
        self.plain = all(_is_plain(dtype) for dtype in schema.dtypes)
        self._shape = lru_cache(_SHAPES)(self._shaped)

    def values(self, frame: pl.DataFrame) -> list[Value] | None:
        """The values of the only row as they are stored: times as integers, Enums as codes.

        None if the frame does not have the stream's columns and types.
        """
        try:
            self._empty.vstack(frame)  # the quickest way to compare names and types
        except (pl.exceptions.SchemaError, pl.exceptions.ShapeError):
            return None
        values: list[Any] = [
            (series.cast(pl.Int64) if temporal else series)[0]
            for series, temporal in zip(frame.get_columns(), self._temporal, strict=True)
        ]
        if None in values and frame.dtypes != self._dtypes:  # a column of no type at all stacks on any
            return None
        for place, codes in self._codes:
            if (name := values[place]) is not None:
                values[place] = codes[name]
        return values

    def time(self, values: Sequence[Value]) -> int | None:
        """The event time in microseconds; None if it is null."""
        stored = values[self.time_place]
        return stored * self._times // self._parts if isinstance(stored, int) else None

    def times(self, values: Sequence[int]) -> Sequence[int]:
        """Stored event times in microseconds."""
        times, parts = self._times, self._parts
        return values if times == parts == 1 else [value * times // parts for value in values]

    def encode(self, values: Sequence[Value]) -> bytes:
        """The canonical record of an event with these values."""
        shape: list[int] = []
        fields: list[Value | bytes] = []
        for text, value in zip(self._text, values, strict=True):
            if value is None:
                shape.append(_NULL)
            elif text:
                characters = value.encode()  # type: ignore[union-attr]
                shape.append(len(characters))
                fields += (len(characters), characters)
            else:
                shape.append(_FIXED)
                fields.append(value)
        before, body = self._shape(tuple(shape))
        return before + body.pack(*fields)

    def encode_few(self, rows: int, columns: Sequence[Sequence[Any]]) -> bytes:
        """The canonical record of a few events.

        Args:
            rows: how many.
            columns: the values of each column in the order of the schema, times as they are stored, Enums as
                their text.

        Raises:
            struct.error, AttributeError, KeyError: a value is none of its column's type.
        """
        entries: list[tuple[int, int, int]] = []
        body: list[bytes] = []
        for place, (layout, values) in enumerate(zip(self._layouts, columns, strict=True)):
            flags, known = _flags(layout), values
            if None in values:
                flags |= NULLS
                there = sum(1 << row for row, value in enumerate(values) if value is not None)
                body.append(_padded(there.to_bytes((rows + 7) // 8, "little")))
                known = [_NOTHING[layout.numpy is None] if value is None else value for value in values]
            if layout.numpy is None:
                texts = [value.encode() for value in known]
                ends = [0, *accumulate(map(len, texts))]
                body += [_padded(struct.pack(f"<{rows + 1}I", *ends)), _padded(b"".join(texts))]
                entries.append((flags, _width(layout), ends[-1]))
            else:
                if place in self._code_of:
                    known = [self._code_of[place][value] for value in values]
                body.append(_padded(struct.pack(f"<{rows}{_CODE[layout.numpy.str[1:]]}", *known)))
                entries.append((flags, _width(layout), 0))
        return b"".join([head(rows, entries), *body])

    def _shaped(self, shape: Shape) -> tuple[bytes, struct.Struct]:
        """What comes before the columns, and how these lie."""
        entries, body = [], ["<"]
        for size, layout in zip(shape, self._layouts, strict=True):
            flags = _flags(layout) | (NULLS if size == _NULL else 0)
            entries.append((flags, _width(layout), max(size, 0)))
            if size == _NULL:
                body.append("16x")
            elif layout.numpy is None:
                body.append(f"4xI{size}s{-size % 8}x")
            else:
                body.append(_PACKED[f"{layout.numpy.kind}{layout.numpy.itemsize}"])
        return head(1, entries), struct.Struct("".join(body))


def parse_many(codec: Codec, records: Sequence[bytes]) -> Columns | None:
    """The columns of records of one event each, one row after the other.

    None if any of them is something else, or broken: ``Codec.parse``, one by one, says what.
    """
    sizes = np.fromiter(map(len, records), np.int64, len(records))
    before = len(head(1, [(0, 0, 0)] * len(codec.layouts)))
    if (sizes % 8).any() or (sizes < before).any():
        return None
    many = _Many(b"".join(records), np.cumsum(sizes) - sizes)
    try:
        many.begin(len(codec.layouts), before)
        columns = [many.column(place, layout) for place, layout in enumerate(codec.layouts)]
        many.end(sizes)
    except (_OddError, IndexError):
        return None
    return Columns(len(records), tuple(columns))


class _OddError(Exception):
    """A record is not of one event, or not whole."""


class _Many:
    """Records that lie one after the other, and how far each of them is read."""

    def __init__(self, data: bytes, starts: Int64) -> None:
        self._data = data
        self._bytes = np.frombuffer(data, np.uint8)
        self._halves = np.frombuffer(data, "<u4")
        self._words = np.frombuffer(data, "<u8")
        self._starts = self._at = starts

    def begin(self, columns: int, before: int) -> None:
        wanted = np.frombuffer(head(1, [(0, 0, 0)] * columns), "<u4", 3)
        for place, half in enumerate(wanted):
            _expect(self._halves[self._starts // 4 + place] == half)
        self._at = self._starts + before

    def column(self, place: int, layout: Layout) -> Column:
        entry = self._starts // 4 + 3 + 2 * place
        kind, size = self._halves[entry], self._halves[entry + 1].astype(np.int64)
        nulls = (kind & NULLS).astype(np.bool_)
        _expect((kind | NULLS) == (_flags(layout) | NULLS | _width(layout) << 8))
        valid = None
        if nulls.any():
            valid = ~nulls | (self._bytes[self._at] & 1 == 1)
            self._at = self._at + 8 * nulls
        if layout.numpy is None:
            return self._text(size, valid)
        words = self._words[self._at // 8]
        self._at = self._at + 8
        wide = words.view(np.uint8).reshape(-1, 8)[:, : layout.numpy.itemsize]
        values: Array = np.ascontiguousarray(wide).view(layout.numpy).ravel()
        return Column(values, None, valid)

    def _text(self, size: Int64, valid: npt.NDArray[np.bool_] | None) -> Column:
        _expect(self._words[self._at // 8] == size << 32)
        start = self._at + 8
        stop = start + size
        self._at = stop + -stop % 8
        characters = b"".join([self._data[a:b] for a, b in zip(start.tolist(), stop.tolist(), strict=True)])
        ends = np.zeros(len(size) + 1, np.uint32)
        np.cumsum(size, out=ends[1:])
        return Column(np.frombuffer(characters, np.uint8), ends, valid)

    def end(self, sizes: Int64) -> None:
        _expect(self._at == self._starts + sizes)


def _expect(holds: npt.NDArray[np.bool_]) -> None:
    if not holds.all():
        raise _OddError


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _is_plain(dtype: pl.DataType) -> bool:
    """Whether the values of a :class:`~headwater.core.handful.Handful` are those that are stored."""
    return dtype.time_unit == "us" if isinstance(dtype, pl.Datetime) else dtype != pl.Float32


def _flags(layout: Layout) -> int:
    return TEXT if layout.numpy is None else 0


def _width(layout: Layout) -> int:
    return 1 if layout.numpy is None else layout.numpy.itemsize
