"""Headwater: ``hw.asof`` on frames."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

import headwater as hw
from benchmarks.contenders.training_set.frame import SPANS, answer, figures, read
from benchmarks.work import Work

__all__ = ["answer", "figures", "prepare"]


def views(schema: pl.Schema) -> list[hw.FeatureView]:
    over = list(SPANS)
    payments = hw.Stream("payments", schema, time="event_at")
    return [
        hw.FeatureView(
            "customer",
            stream=payments,
            key="customer_id",
            features={"n_customer": hw.count(over=over), "mean_customer": hw.mean("amount", over=over)},
        ),
        hw.FeatureView(
            "terminal",
            stream=payments,
            key="terminal_id",
            features={
                "n_terminal": hw.count(over=over, delay="7d"),
                "risk_terminal": hw.mean("is_fraud", over=over, delay="7d"),
            },
        ),
    ]


def prepare(work: Work) -> Callable[[], tuple[pl.DataFrame, int]]:
    events, spine = read(work)
    wanted = views(events.schema)
    hw.asof(wanted, {"payments": events.head(10_000)}, spine.head(1_000))
    return lambda: (hw.asof(wanted, {"payments": events}, spine), spine.height)
