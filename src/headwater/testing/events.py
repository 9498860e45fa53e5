"""Builders of small event frames, for tests that say only what they are about.

Example:
    >>> import polars as pl
    >>> import headwater as hw
    >>> when = pl.Datetime("us", "UTC")
    >>> visits = hw.Stream("visits", {"id": pl.Int64, "user": pl.Int64, "time": when}, id="id")
    >>> events(visits, {"time": at("1d"), "user": 7}, {"time": at("1d12h"), "user": 8})["id"].to_list()
    [0, 1]
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from headwater.core.instant import span
from headwater.definitions.spans import Span
from headwater.definitions.stream import Stream

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(after: Span | None = None, start: datetime = START) -> datetime:
    """A moment so long after the start, which is 2026-01-01 in UTC.

    Example:
        >>> at("1d12h").isoformat()
        '2026-01-02T12:00:00+00:00'
    """
    return start if after is None else start + timedelta(microseconds=span(after))


def events(stream: Stream, *rows: Mapping[str, Any]) -> pl.DataFrame:
    """Events of a stream, one for each row; what a row leaves out is null, and ids count from 0.

    Args:
        stream: whose schema the frame gets.
        rows: column to value, as Python values.

    Returns:
        A frame with exactly the stream's columns and types.

    Raises:
        KeyError: a row has a column that the stream does not.
    """
    unknown = {column for row in rows for column in row} - set(stream.schema)
    if unknown:
        raise KeyError(f"not in the schema of {stream.name}: {', '.join(sorted(unknown))}")
    full = [{**_numbered(stream, i), **row} for i, row in enumerate(rows)]
    return pl.DataFrame(
        {column: [row.get(column) for row in full] for column in stream.schema},
        schema=dict(stream.schema),
    )


def _numbered(stream: Stream, i: int) -> dict[str, Any]:
    if stream.id is None:
        return {}
    return {stream.id: str(i) if isinstance(stream.schema[stream.id], pl.String) else i}
