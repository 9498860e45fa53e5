"""An Arrow IPC stream, looked over before it is decoded, and weighed before it is taken.

A few bytes can declare any number of rows, a compressed buffer can hold ten thousand times its size, and one
text can stand in every row. A decoder believes all of that. So the frames of the stream are walked first, by
their lengths alone: everything that is declared must lie inside the body, and be no more than a request may
bring. Then Polars decodes, and what came out is weighed once more. The format:
https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format. Called by ``routes.events``.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import polars as pl

from headwater.apps.http.body import ARROW
from headwater.apps.http.problems import MalformedError, TooLargeError, UnsupportedError

_CONTINUED = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # kinds of messages
_TEXTS = (pl.String, pl.Binary, pl.Enum, pl.Categorical)


def frame_of(came: bytes, *, rows: int, size: int) -> pl.DataFrame:
    """The body of a request as a frame.

    Args:
        came: the body.
        rows: how many rows it may bring.
        size: how many bytes its texts may have together, each counted as often as it stands in a row.

    Raises:
        MalformedError: it is no Arrow IPC stream, or declares what it does not hold.
        TooLargeError: it brings too many rows, or too long texts.
        UnsupportedError: its buffers are compressed.
    """
    try:
        declared = sum(_rows(came))
    except (struct.error, IndexError, _BrokenError):
        raise _malformed() from None
    if declared > rows:
        raise TooLargeError.of(
            "too many events in one request",
            expected=f"at most {rows:,}",
            got=f"{declared:,}",
            do="send them in smaller parts",
        )
    try:
        frame = pl.read_ipc_stream(io.BytesIO(came), use_pyarrow=False)
        weight = sum(map(_weight, frame.iter_columns()))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
        raise _malformed() from None
    if weight > size:
        raise TooLargeError.of(
            "the texts of the events are too long",
            expected=f"at most {size:,} bytes in one request",
            got=f"{weight:,}",
            do="send them in smaller parts",
        )
    return frame


class _BrokenError(Exception):
    """Something is declared that is not there."""


def _malformed() -> MalformedError:
    return MalformedError.of(
        "the body is no Arrow IPC stream", expected=ARROW, do="write it with an IPC stream writer"
    )


def _rows(came: bytes) -> Iterator[int]:
    """The rows that each message declares, once everything that it declares lies inside the body."""
    place, known = 0, False
    while place < len(came):
        (length,) = struct.unpack_from("<I", came, place)
        place += 4
        if length == _CONTINUED:
            (length,) = struct.unpack_from("<I", came, place)
            place += 4
        if length == 0:  # the end, said aloud
            return
        message = _Table.root(_part(came, place, length))
        place += length
        size = message.int64(3)
        kind, header = message.uint8(1), message.table(2)
        body = len(_part(came, place, size))
        place += size
        if not known and kind != _SCHEMA:
            raise _BrokenError
        known = True
        if kind == _DICTIONARY:
            _batch(header.table(1), body)
        elif kind == _BATCH:
            yield _batch(header, body)
        elif kind != _SCHEMA:
            raise _BrokenError
    if not known:
        raise _BrokenError


def _batch(batch: _Table, body: int) -> int:
    """The rows of a batch whose buffers lie in its body."""
    rows = batch.int64(0)
    if rows < 0:
        raise _BrokenError
    if batch.has(3):
        raise UnsupportedError.of(
            "the buffers of the Arrow stream are compressed",
            expected="buffers without compression",
            do="write the stream without compression",
        )
    for start, length in batch.pairs(2):  # buffers
        if start < 0 or length < 0 or start + length > body:
            raise _BrokenError
    for length, _ in batch.pairs(1):  # columns: flat ones have the rows of the batch
        if length != rows:
            raise _BrokenError
    return rows


def _part(came: bytes, start: int, length: int) -> bytes:
    if length < 0 or start + length > len(came):
        raise _BrokenError
    return came[start : start + length]


class _Table:
    """A table of a flatbuffer: its fields by number. Every read is inside the buffer, or raises.

    Args:
        buffer: holds it.
        place: where it begins.
    """

    def __init__(self, buffer: bytes, place: int) -> None:
        self._buffer = buffer
        self._place = place
        self._slots = place - self._read("<i", place)
        self._length = self._read("<H", self._slots)

    @classmethod
    def root(cls, buffer: bytes) -> _Table:
        """The table that a buffer is about."""
        return cls(buffer, struct.unpack_from("<I", buffer, 0)[0])

    def has(self, field: int) -> bool:
        """Whether a field is there."""
        return self._at(field) > 0

    def int64(self, field: int) -> int:
        """A number; 0 if it is not there."""
        place = self._at(field)
        return self._read("<q", place) if place else 0

    def uint8(self, field: int) -> int:
        """A small number; 0 if it is not there."""
        place = self._at(field)
        return self._read("<B", place) if place else 0

    def table(self, field: int) -> _Table:
        """A table inside."""
        return _Table(self._buffer, self._followed(field))

    def pairs(self, field: int) -> Iterator[tuple[int, int]]:
        """A vector of structs of two int64; none if it is not there."""
        if self.has(field):
            start = self._followed(field)
            count = self._read("<I", start)
            part = _part(self._buffer, start + 4, 16 * count)
            yield from struct.iter_unpack("<qq", part)

    def _followed(self, field: int) -> int:
        place = self._at(field)
        if not place:
            raise _BrokenError
        return place + self._read("<I", place)

    def _at(self, field: int) -> int:
        slot = 4 + 2 * field
        if slot + 2 > self._length:
            return 0
        offset = self._read("<H", self._slots + slot)
        return self._place + offset if offset else 0

    def _read(self, form: str, place: int) -> int:
        if place < 0:  # struct would count from the end
            raise _BrokenError
        return int(struct.unpack_from(form, self._buffer, place)[0])


def _weight(column: pl.Series) -> int:
    """The bytes of a column's texts if each stood in its row by itself; 0 for other columns."""
    if not isinstance(column.dtype, _TEXTS):
        return 0
    if isinstance(column.dtype, pl.String):
        lengths = column.str.len_bytes()
    elif isinstance(column.dtype, pl.Binary):
        lengths = column.bin.size()
    else:
        each = column.drop_nulls().value_counts(name="_rows")
        lengths = each.to_series(0).cast(pl.String).str.len_bytes().cast(pl.Int64) * each["_rows"]
    return int(lengths.cast(pl.Int64).sum())
