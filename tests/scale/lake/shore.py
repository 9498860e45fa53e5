"""A log whose columns have every type that a stream can hold, and lakes made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import headwater as hw
from headwater.core.secret import Secret
from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import EventLog
from headwater.scale.lake.delta import DeltaTableOf
from headwater.scale.lake.export import Exported, Sink, export
from headwater.scale.lake.parquet import ParquetTable
from headwater.scale.lake.private import Private
from headwater.scale.lake.source import Events, plain
from headwater.scale.lake.table import Table, Unit

DAY = 86_400_000_000
START = 1_767_225_600_000_000  # 2026-01-01
CLOCK = pl.Datetime("us", "UTC")
SECRET = Secret("a key of the lake")

READINGS = hw.Stream(
    "readings",
    {
        "id": pl.Int64,
        "time": CLOCK,
        "tiny": pl.UInt8,
        "short": pl.UInt16,
        "whole": pl.UInt32,
        "huge": pl.UInt64,
        "small": pl.Int8,
        "single": pl.Float32,
        "double": pl.Float64,
        "flag": pl.Boolean,
        "text": pl.String,
        "kind": pl.Enum(["card", "cash"]),
        "place": pl.Categorical,
        "day": pl.Date,
        "nanos": pl.Datetime("ns", "UTC"),
        "local": pl.Datetime("ms", "Europe/Zurich"),
    },
    id="id",
)
VISITS = hw.Stream(
    "visits", {"who": pl.String, "time": pl.Date, "income": pl.Float64}, personal=["who", "income"]
)
STREAMS = (READINGS, VISITS)


def readings(count: int, start: int = 0, seed: int = 0) -> pl.DataFrame:
    """Readings of twelve days, out of order, with nulls and with numbers at the edges of their types."""
    random = np.random.default_rng([seed, start])
    edges = [-0.0, 5e-324, 1.7e308, 0.1 + 0.2, -1e-300, None]

    def some(values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in random.integers(0, len(values), count)]

    time = START + random.integers(0, 12 * DAY, count)
    columns = {
        "id": np.arange(start, start + count),
        "time": time,
        "tiny": some([0, 255, None]),
        "short": some([0, 2**16 - 1, None]),
        "whole": some([0, 2**32 - 1, None]),
        "huge": some([0, 2**63 - 1, None]),
        "small": some([-128, 127, None]),
        "single": some([-0.0, 1e-45, 3.4e38, 0.1, None]),
        "double": some(edges),
        "flag": some([True, False, None]),
        "text": some(["", "a\nb", "Zürich ☃", None]),
        "kind": some(["card", "cash", None]),
        "place": some(["here", "there", None]),
        "day": some([date(1, 1, 1), date(9999, 12, 31), None]),
        "nanos": some([1, 1_767_225_600_123_456_789, None]),
        "local": some([0, 1_767_225_600_123, None]),
    }
    return pl.DataFrame(columns, dict(READINGS.schema), strict=False)


def visits(count: int, start: int = 0) -> pl.DataFrame:
    """Visits of two people."""
    who = [("Ada", "Bob", None)[i % 3] for i in range(start, start + count)]
    days = pl.Series([20_454 + i % 4 for i in range(start, start + count)], dtype=pl.Date)
    return pl.DataFrame({"who": who, "time": days, "income": [100.5] * count}, dict(VISITS.schema))


def filled(path: Path, rounds: int = 3, count: int = 400) -> EmbeddedLog:
    """A log with readings and visits, turn by turn."""
    log = EmbeddedLog.open(path, STREAMS)
    for number in range(rounds):
        more(log, number, count)
    return log


def more(log: EventLog, number: int, count: int = 400) -> None:
    """Another turn of readings and visits."""
    arrival = START + 20 * DAY + number
    log.append("readings", readings(count, number * count), arrival=arrival)
    log.append("visits", visits(7, number * 7), arrival=arrival)


Opener = Callable[[Table], Sink]


def opener(form: str, folder: Path, large: int = 2**20) -> Opener:
    """Opens tables of a form in a folder."""
    if form == "delta":
        return lambda table: DeltaTableOf.open(str(folder / table.name), table)
    return lambda table: ParquetTable.open(folder / table.name, table, large)


def exported(
    log: EventLog,
    opened: Opener,
    *,
    streams: Sequence[hw.Stream] = STREAMS,
    private: Private = Private("plain"),  # noqa: B008 - it holds nothing
    unit: Unit = "day",
) -> list[Exported]:
    """Export what a log holds of some streams."""
    sources = [Events(log, one, private, unit) for one in streams]
    return export(sources, opened, lambda _table, _place, _end: None)


def expected(log: EventLog, stream: hw.Stream) -> pl.DataFrame:
    """What the lake must hold of a stream."""
    parts = [
        batch.frame.select(plain(column) for column in batch.frame).select(
            pl.Series("offset", batch.offset), pl.Series("arrived_at", batch.arrival).cast(CLOCK), pl.all()
        )
        for batch in log.scan([stream.name], by_stream=True)
    ]
    return pl.concat(parts)


def bits(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame in which numbers are compared by their bits: -0.0 is not 0.0."""
    return frame.with_columns(
        pl.col(pl.Float64).reinterpret(dtype=pl.Int64), pl.col(pl.Float32).reinterpret(dtype=pl.Int32)
    )
