"""Events as JSON values into a stream's columns, each event judged by itself.

The door (``core.schema``) judges frames; a frame of a single event costs it hundreds of times the work. Here
values that came as JSON are made exact one by one, with the door's own reason codes for those that cannot
be, so that many small requests reach the door as one frame of the right types. Called by the edges; what
comes out is offered to ``commit``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from headwater.core.cast import microseconds
from headwater.core.errors import DataError
from headwater.core.handful import Values, framed
from headwater.core.instant import DAY, EARLIEST, LATEST
from headwater.core.schema import PERSONAL, REASONS, REJECTED, Checked
from headwater.definitions.stream import Stream

UNKNOWN_COLUMN = "unknown-column"
NOT_AN_EVENT = "not-an-event"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**63 - 1
_NONE_REJECTED = REJECTED.to_frame()


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that was not taken: its place in the request, a reason code, words, and itself as JSON.

    The words hold no personal values. The event does: it is kept to be sent again, and masked where it is
    shown.
    """

    row: int
    reason: str
    message: str
    event: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Events as columns of exact values.

    Attributes:
        columns: column to its values; times as microseconds, dates as days.
        row: the place of each event in the request.
        refused: those that are no events of the stream.
    """

    columns: Mapping[str, list[Any]]
    row: Sequence[int]
    refused: tuple[Refused, ...]


class RowReader:
    """Reads the events of one stream.

    Example:
        >>> visits = Stream("visits", {"who": pl.Int64, "at": pl.Datetime("us", "UTC")}, time="at")
        >>> found = RowReader(visits).read([{"who": 1, "at": "1970-01-01T00:00:01Z"}, {"who": "Ada"}])
        >>> found.columns["at"], found.refused[0].message
        ([1000000], "who has another type: 'Ada'")
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._readers = {name: _reader(dtype) for name, dtype in stream.schema.items()}
        self._known = frozenset(stream.schema)
        self._personal = frozenset(stream.personal)
        self._required = frozenset((stream.time, *([stream.id] if stream.id else [])))
        self._unit = DAY if isinstance(stream.schema[stream.time], pl.Date) else 1

    def read(self, events: Sequence[Any]) -> Rows:
        """Make the values of events exact. A column that an event does not name is null.

        Args:
            events: as a JSON parser gives them.
        """
        try:
            if self._known.issuperset(set().union(*events)):
                columns = {
                    name: [read(value) for value in [event.get(name) for event in events]]
                    for name, read in self._readers.items()
                }
                return Rows(columns, range(len(events)), ())
        except (_UnfitError, AttributeError, TypeError):  # some event is not as it should be: look at each
            pass
        return self._one_by_one(events)

    def frame(self, columns: Mapping[str, list[Any]]) -> pl.DataFrame:
        """Exact values as a frame of the stream's columns and types."""
        schema = self.stream.schema
        return framed({name: columns[name] for name in schema}, schema)

    def door(
        self, frame: pl.DataFrame, keys: Collection[str], oldest: int | None, newest: int | None
    ) -> Checked | None:
        """What the door would say of a frame of exact values in which there is nothing to refuse.

        Args:
            frame: as from :meth:`frame`.
            keys: columns in which null is refused.
            oldest: the oldest event time that is taken, microseconds; None for no bound.
            newest: the newest event time that is taken, microseconds; None for no bound.

        Returns:
            None if some event is to be refused, or might be: then the door itself has to look.
        """
        stream = self.stream
        required = {stream.time, *keys, *([stream.id] if stream.id else [])}
        if any(frame.get_column(name).null_count() for name in required):
            return None
        time = microseconds(frame.get_column(stream.time)).to_numpy()
        if len(time) and oldest is not None and time.min() < oldest:
            return None
        if len(time) and newest is not None and time.max() > newest:
            return None
        return Checked(frame, np.arange(len(time)), time, _NONE_REJECTED)

    def few(
        self, values: Values, keys: Collection[str], oldest: int | None, newest: int | None
    ) -> list[int] | None:
        """What the door would say of a few events that are plain values: their times.

        Args:
            values: exact values of all columns.
            keys: columns in which null is refused.
            oldest: the oldest event time that is taken, microseconds; None for no bound.
            newest: the newest event time that is taken, microseconds; None for no bound.

        Returns:
            None if some event is to be refused: then the door itself has to look.
        """
        if any(None in values[name] for name in self._required.union(keys)):
            return None
        time: list[int] = [value * self._unit for value in values[self.stream.time]]
        if (oldest is not None and min(time) < oldest) or (newest is not None and max(time) > newest):
            return None
        return time

    def _one_by_one(self, events: Sequence[Any]) -> Rows:
        columns: dict[str, list[Any]] = {name: [] for name in self._readers}
        rows, refused = [], []
        for row, event in enumerate(events):
            try:
                values = self._event(event)
            except _UnfitError as unfit:
                refused.append(Refused(row, unfit.reason, unfit.message, self._text(event)))
            else:
                rows.append(row)
                for name, value in values.items():
                    columns[name].append(value)
        return Rows(columns, rows, tuple(refused))

    def _event(self, event: Any) -> dict[str, Any]:
        if not isinstance(event, dict):
            raise _UnfitError(NOT_AN_EVENT, f"an event is an object with columns, not {_kind(event)}")
        for name in event:
            if name not in self._known:
                raise _UnfitError(UNKNOWN_COLUMN, f"{_short(name)} is not declared in {self.stream.name}")
        values = {}
        for name, read in self._readers.items():
            try:
                values[name] = read(event.get(name))
            except _UnfitError as unfit:
                shown = PERSONAL if name in self._personal else _short(event[name])
                raise _UnfitError(unfit.reason, f"{name} {REASONS[unfit.reason][0]}: {shown}") from None
        return values

    def _text(self, event: Any) -> str:
        """The event as JSON, as it came; where it is no object, only what it is."""
        if not isinstance(event, dict):
            return json.dumps(_kind(event))
        return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


class _UnfitError(Exception):
    """A value that is none of its column's."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message


_Read = Callable[[Any], Any]


@lru_cache(256)  # to make one takes longer than to read with it
def _reader(dtype: pl.DataType) -> _Read:
    if dtype.is_integer():
        return _integers(dtype)
    if dtype.is_float():
        return _floats(dtype)
    if isinstance(dtype, pl.Boolean):
        return _boolean
    if isinstance(dtype, pl.Enum):
        return _enum(frozenset(dtype.categories.to_list()))
    if isinstance(dtype, pl.Datetime):
        return _instant
    return _day if isinstance(dtype, pl.Date) else _text


def _integers(dtype: pl.DataType) -> _Read:
    low, high = _bounds(dtype)

    def read(value: Any) -> int | None:
        if value.__class__ is not int:
            if value is None:
                return None
            value = _whole(value)
        if not low <= value <= high:
            raise _UnfitError("integer-out-of-range" if high == _LARGEST else "wrong-type")
        return int(value)

    return read


def _bounds(dtype: pl.DataType) -> tuple[int, int]:
    """What a column of integers takes: the engine's null is not one of them."""
    bits = 8 * int(pl.Series([0], dtype=dtype).to_numpy().dtype.itemsize)
    if dtype.is_unsigned_integer():
        return 0, min(2**bits - 1, _LARGEST)
    return -(2 ** (bits - 1)) + (bits == 64), 2 ** (bits - 1) - 1


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise _UnfitError("wrong-type")


def _floats(dtype: pl.DataType) -> _Read:
    largest = 3.4028235677973366e38 if dtype == pl.Float32 else math.inf  # what rounds to infinity

    def read(value: Any) -> float | None:
        if value.__class__ is not float:
            if value is None:
                return None
            value = _number(value)
        if not -largest < value < largest:
            raise _UnfitError("not-finite" if largest == math.inf else "wrong-type")
        return float(value)

    return read


def _number(value: Any) -> float:
    if not isinstance(value, int):
        raise _UnfitError("wrong-type")
    if abs(value) > 2**53 and (abs(value) > 2**1000 or int(float(value)) != value):
        raise _UnfitError("wrong-type")
    return float(value)


def _boolean(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise _UnfitError("wrong-type")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _UnfitError("wrong-type")


def _enum(categories: frozenset[str]) -> _Read:
    def read(value: Any) -> str | None:
        if value is None or (isinstance(value, str) and value in categories):
            return value
        raise _UnfitError("unknown-category" if isinstance(value, str) else "wrong-type")

    return read


def _instant(value: Any) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _UnfitError("wrong-type") from None
    if moment.tzinfo is None:
        raise _UnfitError("time-without-zone")
    micros = (moment - _EPOCH) // _MICROSECOND
    if not EARLIEST <= micros <= LATEST:
        raise _UnfitError("time-out-of-range")
    return micros


def _day(value: Any) -> int | None:
    if value is None:
        return None
    try:
        days = date.fromisoformat(value).toordinal() - _EPOCH.toordinal()
    except (TypeError, ValueError):
        raise _UnfitError("wrong-type") from None
    if not EARLIEST <= days * 86_400_000_000 <= LATEST:
        raise _UnfitError("time-out-of-range")
    return days


def _kind(value: Any) -> str:
    kinds: dict[type, str] = {list: "a list", str: "a text", bool: "a Boolean", dict: "an object"}
    return "null" if value is None else kinds.get(type(value), "a number")


def _short(value: Any, most: int = 60) -> str:
    if isinstance(value, dict | list):
        return _kind(value)
    text = repr(value)
    return text if len(text) <= most else text[:most] + "..."


def exact(value: Any, dtype: pl.DataType, where: str) -> Any:
    """A single value, as it came as JSON, in a column's type; times as aware datetimes.

    Args:
        value: null is a value.
        dtype: the column's type.
        where: its place in the request, for the error.

    Raises:
        DataError: it is none of the type. The value itself is not told: it may be personal.

    Example:
        >>> exact(5.0, pl.Int64(), "$.keys.who")
        5
    """
    try:
        found = _reader(dtype)(value)
    except _UnfitError as unfit:
        what, expected, do = REASONS[unfit.reason]
        raise DataError.of(
            f"{where} {what}", expected=f"{expected}: {dtype}", got=_kind(value), where=where, do=do
        ) from None
    if isinstance(dtype, pl.Datetime | pl.Date) and found is not None:
        return framed({"": [found]}, {"": dtype}).item()
    return found
