"""Makes the input: events and spine as Parquet, from the public data set or from a seed.

The spine is the payments of a week or, with the option ``every``, each so many-th of all payments. With the
option ``part``, a folder of that name has each so many-th event and row of these.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl

from benchmarks.work import Work

CLOCK = pl.Datetime("us", "UTC")
START, DAYS = dt.datetime(2018, 4, 1, tzinfo=dt.UTC), 183
WEEK = dt.datetime(2018, 7, 25, tzinfo=dt.UTC)
CUSTOMERS, TERMINALS = 4_990, 10_000


def prepare(work: Work) -> Callable[[], dict[str, int]]:
    return lambda: _make(work)


def figures(result: dict[str, int]) -> dict[str, int]:
    return result


def _make(work: Work) -> dict[str, int]:
    source, rows = work.options["source"], int(work.options["rows"])
    events = _read(source) if source else _made_up(int(work.options["events"]))
    every = int(work.options.get("every", 0))
    in_week = pl.col("event_at").is_between(WEEK, WEEK + dt.timedelta(days=7), closed="left")
    spine = (
        (events.gather_every(every) if every else events.filter(in_week))
        .head(rows)
        .select("customer_id", "terminal_id", pl.col("event_at").alias("time"))
    )
    for name, frame in (("events", events), ("spine", spine)):
        frame.write_parquet(work.data / f"{name}.parquet")
        if part := int(work.options.get("part", 0)):
            (work.data / "part").mkdir(exist_ok=True)
            frame.gather_every(part).write_parquet(work.data / "part" / f"{name}.parquet")
    return {"events": events.height, "rows": spine.height}


def _read(source: str) -> pl.DataFrame:
    return pl.read_parquet(source).select(
        pl.col("event_at").dt.replace_time_zone("UTC").cast(CLOCK),
        pl.col("customer_id", "terminal_id").cast(pl.Int64),
        "amount",
        pl.col("is_fraud").cast(pl.Float64),
    )


def _made_up(events: int) -> pl.DataFrame:
    """Busy and quiet customers, terminals alike, one payment in 120 a fraud; to the second, so with ties."""
    random = np.random.default_rng(20_260_102)
    share = events / 1_754_155
    customers, terminals = max(int(CUSTOMERS * share), 10), max(int(TERMINALS * share), 20)
    busy = random.gamma(2.0, 1.0, customers)
    second = np.sort(random.integers(0, DAYS * 86_400, events))
    return pl.DataFrame(
        {
            "event_at": pl.Series(int(START.timestamp() * 1e6) + second * 1_000_000).cast(CLOCK),
            "customer_id": random.choice(customers, size=events, p=busy / busy.sum()),
            "terminal_id": random.integers(0, terminals, events),
            "amount": np.round(random.gamma(2.0, 27.0, events), 2),
            "is_fraud": (random.random(events) < 1 / 120).astype(np.float64),
        }
    )
