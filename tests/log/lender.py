"""The streams and frames that the log's tests share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

import headwater as hw
from headwater.core.batch import Batch
from headwater.core.instant import SECOND
from headwater.log import EmbeddedLog
from headwater.testing.log_contract import CLICKS, NOW, PAYMENTS, PROFILES, payments

__all__ = ["CLICKS", "NOW", "PAYMENTS", "PROFILES", "clicks", "many", "opened", "payments", "whole"]

STREAMS: Sequence[hw.Stream] = (PAYMENTS, PROFILES, CLICKS)


def opened(folder: Path, streams: Sequence[hw.Stream] = STREAMS) -> EmbeddedLog:
    return EmbeddedLog.open(folder / "events.log", streams)


def many(count: int, start: int = 0) -> pl.DataFrame:
    """Payments a second apart with ids from ``start`` on, made by columns."""
    ids = pl.Series("id", range(start, start + count), dtype=pl.Int64)
    return pl.DataFrame({"id": ids}).select(
        pl.col("id"),
        account=pl.col("id") % 97,
        time=(NOW + pl.col("id") * SECOND).cast(pl.Datetime("us", "UTC")),
        side=pl.when(pl.col("id") % 3 == 0)
        .then(pl.lit("debit"))
        .otherwise(None)
        .cast(pl.Enum(["credit", "debit"])),
        purpose=pl.when(pl.col("id") % 5 == 0).then(pl.lit("rent")).otherwise(pl.lit("größer")),
        amount=pl.col("id") * 0.1,
    )


def clicks(count: int, start: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "page": pl.Series([f"page {i}" for i in range(start, start + count)], dtype=pl.String),
            "time": pl.Series([NOW + i * SECOND for i in range(start, start + count)], dtype=pl.Int64).cast(
                pl.Datetime("us", "UTC")
            ),
        }
    )


def whole(log: EmbeddedLog) -> dict[str, Batch]:
    """Each stream as one batch, however it is cut."""
    batches: dict[str, Batch] = {}
    for batch in log.scan(by_stream=True):
        assert batch.stream not in batches, "small streams come as one batch"
        batches[batch.stream] = batch
    return batches
