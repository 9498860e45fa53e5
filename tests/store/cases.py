"""Decisions and an engine, small enough to read."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

import headwater as hw
from headwater.core.batch import Batch
from headwater.engine.run import Engine
from headwater.store.decision import Decision, Reason

PAYMENTS = hw.Stream(
    "payments", {"who": pl.Int64, "at": pl.Datetime("us", "UTC"), "amount": pl.Float64}, time="at"
)
VIEW = hw.FeatureView("spending", PAYMENTS, "who", {"spent": hw.sum("amount", over="1d")})


def decision(**changes: Any) -> Decision:
    """A decision about account 1."""
    facts: dict[str, Any] = {
        "model": "risk",
        "model_digest": "d1",
        "definition_hash": "h1",
        "policy": "lend",
        "policy_hash": "p1",
        "keys": {"who": 1},
        "time": 5,
        "offset": 3,
        "decided_at": 6,
        "features": {"spent": 0.1 + 0.2, "since": None},
        "score": 1 / 3,
        "band": "act",
        "reasons": (Reason("Much was spent", "spent", 0.1 + 0.2, 0.1, 0.7),),
        "request": {"way": "card"},
    }
    return Decision(**(facts | changes))


def engine(events: int) -> Engine:
    """An engine that has seen so many payments of account 1, one microsecond apart, of 1.0 each."""
    made = Engine([VIEW])
    feed(made, 0, events)
    return made


def feed(made: Engine, start: int, stop: int) -> None:
    """Payments number ``start`` to ``stop``."""
    places = np.arange(start, stop)
    frame = pl.DataFrame(
        {"who": [1] * len(places), "at": places, "amount": [1.0] * len(places)}, schema=dict(PAYMENTS.schema)
    )
    made.apply(Batch("payments", places, places, places, frame))
