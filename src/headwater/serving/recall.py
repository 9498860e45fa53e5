"""Request columns that are dates and times: as a record holds them, and back.

A record is JSON, so an instant is kept as ISO 8601 in UTC with as many digits as it needs, a date as its ISO
form: one text for one value. On replay the model's column types make the same values of them, to the bit.
Called by ``decide``, which records, and ``rederive``, which reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from headwater.core.errors import DataError
from headwater.core.instant import iso
from headwater.definitions.model import Model

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXTS = (pl.String, pl.Enum, pl.Categorical)


def told(request: Mapping[str, Any]) -> dict[str, Any]:
    """Request columns as plain values of JSON.

    Example:
        >>> told({"born": date(1990, 1, 31), "at": datetime(2026, 1, 1, 12, tzinfo=UTC), "n": 3})
        {'born': '1990-01-31', 'at': '2026-01-01T12:00:00Z', 'n': 3}
    """
    return {name: _told(value) for name, value in request.items()}


def recalled(model: Model, request: Mapping[str, Any]) -> dict[str, Any]:
    """Request columns as the model reads them: the inverse of :func:`told`; what is a time already stays.

    Raises:
        DataError: a value is none of its column's type, as when another definition declares another type.
    """
    found = dict(request)
    for name in model.request:
        if name in found:
            found[name] = _recalled(found[name], model.columns[name], name)
    return found


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso((value - _EPOCH) // _MICROSECOND)
    return value.isoformat() if isinstance(value, date) else value


def _recalled(value: Any, dtype: pl.DataType, name: str) -> Any:
    if value is None:
        return None
    if dtype.is_temporal():
        return _moment(value, dtype, name) if isinstance(value, str) else value
    if isinstance(value, str) is not isinstance(dtype, _TEXTS):
        raise _other(dtype, name)
    return value


def _moment(text: str, dtype: pl.DataType, name: str) -> date | datetime:
    try:
        if isinstance(dtype, pl.Date):
            return date.fromisoformat(text)
        micros = (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    except (ValueError, TypeError):
        raise _other(dtype, name) from None
    found: datetime = pl.Series([micros], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")).cast(dtype)[0]
    return found


def _other(dtype: pl.DataType, name: str) -> DataError:
    return DataError.of(
        "a decision's request column is of another type than the definition says",
        expected=str(dtype),
        where=name,
        do="replay with a definition that declares the column as it was",
    )
