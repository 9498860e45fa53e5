"""One file of events: whose they are, how its columns are called, and its parts behind the door.

Called by ``run``; the door itself is ``core.schema``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from headwater.apps.importing.files import Form, Part, texts
from headwater.core.batch import Int64
from headwater.core.cast import fit, microseconds
from headwater.core.errors import DataError
from headwater.core.instant import LATEST
from headwater.core.schema import Checked, check_frame
from headwater.definitions.stream import Stream

_CLOCK = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Source:
    """One file of events.

    Attributes:
        stream: whose events they are.
        path: the file.
        keys: columns in which null is refused.
        columns: column of the stream to the file's name for it, where they differ.
        arrival: the file's column that says when each event became known; None: when it happened.
        form: how a CSV file is written.
        extra: drop columns that are not declared, instead of refusing the file.
    """

    stream: Stream
    path: Path
    keys: Collection[str] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    arrival: str | None = None
    form: Form = field(default_factory=Form)
    extra: bool = False


def checked_part(source: Source, part: Part, lateness: int | None) -> tuple[Checked, Int64]:
    """The rows of a part behind the door, and when each accepted one arrived, int64 microseconds.

    Args:
        source: the file.
        part: some of its rows.
        lateness: with an arrival column: events older than this on arrival are rejected.

    Raises:
        DataError: the columns are not the stream's, or the arrivals are no times.
    """
    frame, arrived = _columns(source, part)
    checked = _door(source, frame, None)
    if arrived is None:
        return checked, checked.time
    arrival = arrived[checked.row]
    if lateness is not None and (late := checked.time < arrival - lateness).any():
        checked, arrival = _without_late(source, checked, arrival, late)
    return checked, arrival


def _door(source: Source, frame: pl.DataFrame, oldest: int | None) -> Checked:
    stream = source.stream
    return check_frame(
        frame,
        stream.schema,
        time=stream.time,
        id=stream.id,
        keys=source.keys,
        personal=stream.personal,
        oldest=oldest,
        parse=texts(source.path),
        extra=source.extra,
        name=str(source.path),
    )


def _without_late(
    source: Source, checked: Checked, arrival: Int64, late: np.ndarray
) -> tuple[Checked, Int64]:
    """Late rows become rejected ones, as the door words it."""
    places = checked.row[late]
    refused = _door(source, checked.accepted.filter(late), LATEST + 1).rejected
    refused = refused.with_columns(pl.Series("row", places, pl.Int64))
    rejected = pl.concat([checked.rejected, refused]).sort("row")
    kept = Checked(checked.accepted.filter(~late), checked.row[~late], checked.time[~late], rejected)
    return kept, arrival[~late]


def _columns(source: Source, part: Part) -> tuple[pl.DataFrame, Int64 | None]:
    """The part's columns by the stream's names, and the arrivals, if the file has them."""
    frame = part.frame
    _need(source, frame)
    arrived = None
    if source.arrival is not None:
        arrived = _arrivals(source, frame[source.arrival])
        if source.arrival not in source.stream.schema and source.arrival not in source.columns.values():
            frame = frame.drop(source.arrival)
    names = {theirs: ours for ours, theirs in source.columns.items()}
    frame = frame.drop(source.columns.keys() - names.keys(), strict=False).rename(names, strict=False)
    if part.first and _sparse(source):
        absent = [name for name in source.stream.schema if name not in frame.columns]
        frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
    return frame, arrived


def _need(source: Source, frame: pl.DataFrame) -> None:
    """Complain of columns that were named and are not there, and of a file without a header."""
    declared = {source.columns.get(name, name) for name in source.stream.schema}
    if not declared & set(frame.columns):
        raise DataError.of(
            "the file has none of the stream's columns: it has no header, another one, or another separator",
            expected=", ".join(source.columns.get(name, name) for name in source.stream.schema),
            got=f"{frame.width} columns of other names",  # not the names: without a header, these are values
            where=str(source.path),
            do="add the header, or say --separator ';' or --map column=name",
        )
    named = [] if source.arrival is None else [source.arrival]
    named += [] if _sparse(source) else source.columns.values()
    for name in named:
        if name not in frame.columns:
            raise DataError.of(
                f"the file has no column {name!r}",
                expected=f"a column {name!r}, as the call names it",
                got=", ".join(frame.columns),
                where=str(source.path),
                do="correct --map or --arrival",
            )


def _sparse(source: Source) -> bool:
    """Whether a column may be absent from a part because all of its values are null there: NDJSON."""
    return source.path.suffix.lower() in (".ndjson", ".jsonl")


def _arrivals(source: Source, series: pl.Series) -> Int64:
    fitted = fit(series, _CLOCK, parse=True, instant=True)
    if fitted is None or fitted.failures or series.null_count():
        raise DataError.of(
            "the arrival column does not hold a time with a zone in each row",
            expected="times such as 2026-01-31T12:00:00Z, without nulls",
            got=f"{series.dtype} with {series.null_count()} nulls" if series.null_count() else "other values",
            where=f"{source.path}.{series.name}",
            do="mend the column, or leave --arrival out if events were known when they happened",
        )
    return microseconds(fitted.values).to_numpy()
