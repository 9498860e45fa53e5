"""The door: every event is checked here against its stream's schema, and nowhere else.

What fits passes with its types made exact; a row that does not is refused with a stable reason code; a
frame whose columns are not the declared ones is refused as a whole. Called by ``hw.asof``, by imports and
by the live edge, before the log. Read ``core.cast`` for what is converted and ``core.batch`` for what
comes out on the other side.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.cast import Column, fit, microseconds
from headwater.core.errors import DataError, Problem
from headwater.core.frame import as_polars
from headwater.core.instant import iso

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

STORABLE_TEXT = (
    "an integer up to 64 bits, Float32, Float64, Boolean, String, Enum, Categorical, Date,"
    " or Datetime with a zone"
)
_STORABLE = (pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Enum, pl.Categorical, pl.Date)

REASONS: Mapping[str, tuple[str, str, str]] = {  # code: what is wrong, what was expected, what to do
    "null-time": ("is missing", "the time of the event", "send the time of each event"),
    "null-id": ("is missing", "the id of the event", "send the id of each event"),
    "null-key": ("is missing", "the key of the entity", "send the key of each event"),
    "not-finite": ("is NaN or infinite", "a finite number or null", "send null where there is no number"),
    "wrong-type": ("has another type", "a value of the declared type", "convert it before it is sent"),
    "unknown-category": ("is an unknown category", "one of the declared categories", "declare the category"),
    "time-without-zone": (
        "has no zone",
        "a time such as 2026-01-31T12:00:00Z",
        "add the zone; UTC is written Z",
    ),
    "time-out-of-range": (
        "is out of range",
        "a time between 1827 and 2112",
        "look whether the unit is right",
    ),
    "date-out-of-range": (
        "is out of range",
        "a time of the years 1 to 9999 that the column's unit can hold",
        "look whether the unit is right",
    ),
    "integer-out-of-range": (
        "is out of range",
        "an integer from -(2^63 - 1) to 2^63 - 1",
        "send a smaller number, or declare the column as String",
    ),
    "too-late": (
        "is older than the lateness bound",
        "a newer event",
        "send events sooner, or raise lateness=",
    ),
    "in-the-future": ("lies in the future", "an event that has happened", "look at the sender's clock"),
}
REJECTED = pl.Schema({"row": pl.Int64, "reason": pl.String, "message": pl.String, "event": pl.String})
PERSONAL = "(personal)"
_NONE_REJECTED = REJECTED.to_frame()
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Checked:
    """What came through the door and what did not.

    Attributes:
        accepted: the rows that fit: exactly the schema's columns and types, in the order they came.
        places: int64, shape (accepted,): the place of each in the frame, from 0; None if all are accepted.
        time: int64 microseconds UTC, shape (accepted,): the event times.
        rejected: ``row``, ``reason`` (a key of ``REASONS``), ``message`` (without personal values), ``event``
            (JSON, as it came: mask it before it is shown), ascending by row. A row with several faults is
            named once, with the first.
        problems: the rejections as problems, one for each column and reason.
    """

    accepted: pl.DataFrame
    places: Int64 | None
    time: Int64
    rejected: pl.DataFrame
    problems: tuple[Problem, ...] = ()

    @property
    def row(self) -> Int64:
        """The place of each accepted row in the frame, int64, shape (accepted,)."""
        return np.arange(len(self.accepted)) if self.places is None else self.places


@dataclass(frozen=True, slots=True)
class _Fault:
    column: str
    reason: str
    mask: Bool


def storable(dtype: pl.DataType) -> bool:
    """Whether a stream can hold a column of this type."""
    if isinstance(dtype, pl.Datetime):
        return dtype.time_zone is not None
    return isinstance(dtype, _STORABLE) or (
        dtype.is_integer() and not isinstance(dtype, pl.Int128 | pl.UInt128)
    )


def check_frame(
    frame: Any,
    schema: Mapping[str, pl.DataType],
    *,
    time: str,
    id: str | None = None,
    keys: Collection[str] = (),
    personal: Collection[str] = (),
    oldest: int | None = None,
    newest: int | None = None,
    parse: bool = False,
    extra: bool = False,
    strict: bool = False,
    name: str = "events",
) -> Checked:
    """Check a frame of events against a schema.

    Args:
        frame: a Polars, pandas or Arrow frame, n rows.
        schema: the declared columns and types.
        time: the column with the event time, Datetime or Date; never null.
        id: the column with the event's id; never null.
        keys: entity keys; never null.
        personal: columns whose values must not show in a message.
        oldest: the oldest event time that is taken, microseconds; ``None`` for no bound.
        newest: the newest event time that is taken, microseconds; ``None`` for no bound.
        parse: read texts as numbers, Booleans and dates, as for a CSV file.
        extra: drop columns that are not declared, instead of refusing the frame.
        strict: raise if a single row does not fit, instead of splitting the frame.
        name: how to call the frame in an error.

    Returns:
        The accepted rows and the rejected ones.

    Raises:
        DataError: the columns are not the declared ones; or ``strict``, and a row does not fit.

    Example:
        >>> from datetime import UTC, datetime
        >>> schema = {"at": pl.Datetime("us", "UTC"), "amount": pl.Float64()}
        >>> day = datetime(2026, 1, 1, tzinfo=UTC)
        >>> events = pl.DataFrame({"at": [day, day], "amount": [1.0, float("nan")]})
        >>> checked = check_frame(events, schema, time="at")
        >>> len(checked.accepted), checked.rejected["message"].to_list()
        (1, ['amount is NaN or infinite: nan'])
    """
    came = as_polars(frame, name)
    columns = _fitted(came, schema, time, parse, extra, name)
    required = {**dict.fromkeys(keys, "null-key"), **({id: "null-id"} if id else {}), time: "null-time"}
    faults = _faults(came, columns, required)
    instants = microseconds(columns[time].values)
    faults += _bound_faults(time, instants, oldest, newest)
    if not faults and list(came.schema.items()) == list(schema.items()):
        return Checked(came, None, instants.to_numpy(), _NONE_REJECTED)
    fitted = pl.DataFrame([column.values for column in columns.values()])
    if not faults:
        return Checked(fitted, None, instants.to_numpy(), _NONE_REJECTED)
    return _split(came, fitted, instants, faults, frozenset(personal), strict, name)


def faults_of(
    frame: pl.DataFrame, columns: Mapping[str, Column], *, personal: Collection[str] = (), name: str
) -> list[Problem]:
    """What did not survive a cast of single columns, as problems: for keys and times beside events.

    Args:
        frame: the columns as they came.
        columns: some of them, as ``core.cast.fit`` made them fit.
        personal: columns whose values must not show.
        name: how to call the frame.

    Example:
        >>> came = pl.DataFrame({"who": [1.0, 2.5]})
        >>> problem, = faults_of(came, {"who": fit(came["who"], pl.Int64())}, name="spine")
        >>> problem.what, problem.got, problem.where
        ('who has another type in 1 of 2 rows', '2.5', 'spine[1].who')
    """
    return [_problem(fault, frame, frozenset(personal), name) for fault in _faults(frame, columns, {})]


def _fitted(
    came: pl.DataFrame, schema: Mapping[str, pl.DataType], time: str, parse: bool, extra: bool, name: str
) -> dict[str, Column]:
    """The declared columns in their declared types, or an error about the frame as a whole."""
    problems = [_missing(column, came, name) for column in schema if column not in came.columns]
    if not extra:
        problems += [_unknown(column, schema, name) for column in came.columns if column not in schema]
    columns: dict[str, Column] = {}
    for column, dtype in schema.items():
        if column in came.columns:
            found = fit(came[column], dtype, parse=parse, instant=column == time)
            if found is None:
                problems.append(_unfit(column, came[column].dtype, dtype, name))
            else:
                columns[column] = found
    DataError.raise_if(problems)
    return columns


def _faults(came: pl.DataFrame, columns: Mapping[str, Column], required: Mapping[str, str]) -> list[_Fault]:
    faults = [
        _Fault(name, reason, mask.to_numpy())
        for name, column in columns.items()
        for reason, mask in column.failures.items()
    ]
    for name, reason in required.items():
        if came[name].null_count():
            faults.append(_Fault(name, reason, came[name].is_null().to_numpy()))
    return faults


def _bound_faults(column: str, instants: pl.Series, oldest: int | None, newest: int | None) -> list[_Fault]:
    bounds = [("too-late", oldest, instants.__lt__), ("in-the-future", newest, instants.__gt__)]
    found = [(reason, beyond(bound)) for reason, bound, beyond in bounds if bound is not None]
    return [_Fault(column, reason, m.fill_null(False).to_numpy()) for reason, m in found if m.any()]


def _split(
    came: pl.DataFrame,
    fitted: pl.DataFrame,
    instants: pl.Series,
    faults: list[_Fault],
    personal: frozenset[str],
    strict: bool,
    name: str,
) -> Checked:
    problems = tuple(_problem(fault, came, personal, name) for fault in faults)
    if strict:
        raise DataError(*problems)
    fault = _first_faults(faults, len(came))
    row = np.flatnonzero(fault < 0)
    return Checked(
        fitted[row],
        row,
        instants.gather(row).to_numpy(),
        _rejected(came, faults, fault, personal),
        problems,
    )


def _first_faults(faults: list[_Fault], rows: int) -> npt.NDArray[np.int32]:
    """For each row the index of its first fault, or -1."""
    first = np.full(rows, -1, np.int32)
    for i in range(len(faults) - 1, -1, -1):
        first[faults[i].mask] = i
    return first


def _rejected(
    came: pl.DataFrame, faults: list[_Fault], fault: npt.NDArray[np.int32], personal: frozenset[str]
) -> pl.DataFrame:
    row = np.flatnonzero(fault >= 0)
    lost = came[row]
    codes = fault[row]
    message = np.empty(len(row), object)
    for i, f in enumerate(faults):
        at = np.flatnonzero(codes == i)
        message[at] = [_message(f, text) for text in _texts(lost[f.column].gather(at), f.column in personal)]
    reason = [faults[code].reason for code in codes]
    return pl.DataFrame(
        {"row": row, "reason": reason, "message": message.tolist(), "event": _json(lost)},
        schema=REJECTED,
    )


def _message(fault: _Fault, value: str) -> str:
    what = f"{fault.column} {REASONS[fault.reason][0]}"
    return what if fault.reason.startswith("null-") else f"{what}: {value}"


def _problem(fault: _Fault, came: pl.DataFrame, personal: frozenset[str], name: str) -> Problem:
    what, expected, do = REASONS[fault.reason]
    at = np.flatnonzero(fault.mask)
    some = at[:_SHOWN]
    more = ", ..." if len(at) > _SHOWN else ""
    got = ", ".join(_texts(came[fault.column].gather(some), fault.column in personal)) + more
    return Problem(
        f"{fault.column} {what} in {len(at):,} of {len(came):,} rows",
        expected=expected,
        got=got,
        where=", ".join(f"{name}[{row}].{fault.column}" for row in some) + more,
        do=do,
    )


def _texts(values: pl.Series, masked: bool) -> list[str]:
    if masked:
        return [PERSONAL] * len(values)
    if not isinstance(values.dtype, pl.Datetime | pl.Date):
        return ["null" if v is None else repr(v) for v in values.to_list()]
    return [_time_text(value) for value in microseconds(values).to_list()]


def _time_text(value: int | None) -> str:
    try:
        return "null" if value is None else iso(value)
    except OverflowError:
        return f"{value} us"


def _json(frame: pl.DataFrame) -> pl.Series:
    """Each row as JSON; times as text, and as a plain number where no calendar reaches."""
    columns = [_writable(column) for column in frame]
    return pl.DataFrame(columns).select(pl.struct(pl.all()).struct.json_encode()).to_series()


def _writable(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime | pl.Date) or column.dtype == pl.Object:
        return pl.Series(column.name, _texts(column, masked=False), pl.String)
    return column


def _missing(column: str, came: pl.DataFrame, name: str) -> Problem:
    near = get_close_matches(column, came.columns, 1, 0.75)
    return Problem(
        f"the column {column!r} is missing",
        expected=f"a column {column!r}",
        got=", ".join(came.columns) or "no columns",
        where=name,
        do=f"rename {near[0]!r}" if near else "add the column; it may hold nulls if it is no key, id or time",
    )


def _unknown(column: str, schema: Mapping[str, pl.DataType], name: str) -> Problem:
    near = get_close_matches(column, schema, 1, 0.75)
    return Problem(
        f"the column {column!r} is not declared",
        expected="one of " + ", ".join(schema),
        got=repr(column),
        where=name,
        do=f"did you mean {near[0]!r}?" if near else "leave it out, or declare it in the stream's schema",
    )


def _unfit(column: str, got: pl.DataType, expected: pl.DataType, name: str) -> Problem:
    naive = isinstance(got, pl.Datetime) and got.time_zone is None
    return Problem(
        f"the times of the column {column!r} have no zone"
        if naive
        else f"the column {column!r} has the wrong type",
        expected=str(expected),
        got=str(got),
        where=f"{name}.{column}",
        do="say which zone they are in, for example with dt.replace_time_zone('UTC')"
        if naive
        else "convert the column before it comes here",
    )
