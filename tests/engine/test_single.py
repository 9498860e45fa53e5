"""One event and one key at a time, beside an engine that takes in others. Values: see ``hosts``."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.engine.run import Engine
from headwater.engine.single import Single
from tests.letters import says

PAYMENTS = hw.Stream(
    "payments",
    {
        "who": pl.Int64, "at": pl.Datetime("us", "UTC"), "pieces": pl.Int64, "price": pl.Float64,
        "way": pl.String,
    },
    time="at",
)  # fmt: skip
total = pl.col("pieces") * pl.col("price")
VIEW = hw.FeatureView(
    "v",
    PAYMENTS,
    "who",
    {
        "n": hw.count(over="7d"),
        "total": hw.sum(total, over="7d"),  # arithmetic
        "share": hw.sum(total / 7, over="7d"),  # for Polars
        "pieces": hw.sum("pieces", over="7d"),  # a column in another type
        "dear": hw.count(where=pl.col("price") > 10, over="7d"),
        "cash": hw.count(where=pl.col("way") == "cash", over="7d"),
        "way": hw.last("way"),
    },
)


def batch(offset: int, *events: tuple[int | None, float | None], who: int = 1) -> Batch:
    """Payments at time = offset: (pieces, price)."""
    places = np.arange(offset, offset + len(events))
    frame = pl.DataFrame(
        {
            "who": [who] * len(events),
            "at": places,
            "pieces": [pieces for pieces, _ in events],
            "price": [price for _, price in events],
            "way": ["cash" if place % 2 else None for place in places],
        },
        schema=PAYMENTS.schema,
    )
    return Batch("payments", places, places, places, frame)


def test_every_kind_of_expression_gives_what_a_batch_gives() -> None:
    events: list[tuple[int | None, float | None]] = [(3, 1.1), (None, 20.0), (7, None), (-2, 1e16), (1, 0.3)]
    single, engine = Single(Engine([VIEW])), Engine([VIEW])
    for offset, event in enumerate(events):
        single.apply(batch(offset, event))
    engine.apply(batch(0, *events))
    assert single.read("v", 1, 9) == engine.read("v", [1], 9).row(0)


def test_a_stranger_is_known_once_the_engine_has_met_it() -> None:
    engine = Engine([VIEW])
    single = Single(engine)
    for _ in range(2):
        assert single.read("v", 5, 9)[0] == 0
    assert single.newest({"who": 5}) is None
    engine.apply(batch(0, (1, 1.0), (1, 1.0), who=5))  # beside it
    assert (single.read("v", 5, 9)[0], single.newest({"who": 5})) == (2, 1)
    assert single.read("v", 6, 9)[0] == 0
    single.apply(batch(2, (1, 1.0), who=6))  # by it
    assert (single.read("v", 6, 9)[0], single.newest({"who": 6})) == (1, 2)
    assert (single.read("v", 7, 9)[0], single.offset) == (0, 2)


@pytest.mark.parametrize("key", ["five", 2.5])
def test_a_key_of_another_type_is_an_error(key: object) -> None:
    with says(
        DataError,
        f"""
        a key has another type than the stream's
          expected: Int64
          got:      {type(key).__name__}
          where:    who
          do:       give the key in the stream's type
        """,
    ):
        Single(Engine([VIEW])).read("v", key, 9)
