"""Many moments of the past with one pass over the log: the same as one by one, and as they were live."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headwater as hw
from headwater.core.errors import DataError
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.rederive import Asked, features, reach, rederive
from headwater.serving.replay import replay, replay_many
from headwater.store.decision import Decision
from tests.letters import says
from tests.serving.bank import (
    DAY,
    PAYMENTS,
    POLICY,
    PROFILES,
    RISK,
    live,
    log,
    micros,
    model,
    payment,
    profile,
    scoring,
)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedLog]:
    """The history, and some events behind it that came late."""
    with log(tmp_path_factory.mktemp("bank")) as made:
        for i, day in enumerate((100, 103, 95, 101, 60, 104)):
            made.append("payments", payment(100_000 + i, i % 2, day, 30.0 + i), arrival=micros(105 + i))
            made.append("profiles", profile(i % 3, day, 40.0 + i), arrival=micros(105.5 + i))
        yield made


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a.view(np.int64), b.view(np.int64)))


moments = st.lists(
    st.tuples(st.integers(0, 21), st.integers(-5, 140), st.integers(-1, 700)), min_size=1, max_size=12
)


@given(moments)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_are_as_one_by_one(bank: EmbeddedLog, drawn: list[tuple[int, int, int]]) -> None:
    asked = [Asked({"who": who}, micros(day), offset) for who, day, offset in drawn]
    together = rederive(scoring(), asked, bank)
    for x, one in zip(together, asked, strict=True):
        assert same_bits(x[None], rederive(scoring(), [one], bank))


@given(moments)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_replays_of_many_are_those_of_each(bank: EmbeddedLog, drawn: list[tuple[int, int, int]]) -> None:
    decider, other = Decider(POLICY, scoring()), Decider(POLICY, scoring(seed=1))
    blank = dict.fromkeys(RISK.inputs)
    decisions = [
        Decision("risk", "d", "h", "lend", "p", {"who": who}, micros(day), offset, 0, blank, 0.1, "healthy")
        for who, day, offset in drawn
    ]
    made = [found.now for found in replay_many(decisions, bank, decider)]
    for own in (None, lambda _: decider):
        together = list(replay_many(made, bank, other, own=own))
        alone = [replay(one, bank, other, own=None if own is None else decider) for one in made]
        assert together == alone


def test_what_was_served_live(tmp_path: Path) -> None:
    with log(tmp_path) as bank:
        made = live(bank)
        served = [made.score("risk", {"who": who}, micros(101)) for who in (1, 2, 99)]
        for i, day in enumerate((101, 102, 99, 60)):
            (refresh,) = made.append("payments", payment(100_000 + i, 1, day), arrival=micros(103 + i))[1]
            served.append(refresh.scored)
        asked = [Asked(one.keys, one.time, one.offset, one.request) for one in served]
        assert same_bits(rederive(scoring(), asked, bank), np.stack([one.x for one in served]))


def test_request_columns_are_those_of_the_row(bank: EmbeddedLog) -> None:
    asked = model(name="asked", request=["amount"])
    rows = [Asked({"who": 1}, micros(100), 500, {"amount": float(amount)}) for amount in (3, 4)]
    X = rederive(scoring(asked), rows, bank)
    assert X[:, asked.inputs.index("amount")].tolist() == [3.0, 4.0]


def test_nothing_asked_is_nothing(bank: EmbeddedLog) -> None:
    assert rederive(scoring(), [], bank).shape == (0, len(RISK.inputs))


def test_a_row_without_a_key(bank: EmbeddedLog) -> None:
    with says(
        DataError,
        """
        an entity of the past lacks a key of the model
          expected: a value for 'who'
          got:      no such key, or null
          where:    row 1
          do:       name the entity by all keys of the model's views
        """,
    ):
        features(RISK.features, [Asked({"who": 1}, 0, 0), Asked({}, 0, 0)], bank)


#                 t - reach                t
#   ───────────────(──────────────────────]───►     what lies to the left is not read
def test_how_far_a_vector_reaches() -> None:
    def view(**aggregates: hw.Aggregate) -> list[hw.FeatureView]:
        return [hw.FeatureView("v", PAYMENTS, "who", aggregates)]

    assert reach(view(n=hw.count(over=["7d", "30d"], delay="1d"))) == 31 * DAY
    assert reach(view(n=hw.decayed_count(half_life="1d"))) == 64 * DAY
    assert reach(view(n=hw.decayed_count(half_life="1d", over="2d"))) == 2 * DAY
    assert reach(view(n=hw.count(over="7d"), last=hw.last("amount"))) is None
    assert reach([]) == 0


def test_reading_only_what_the_windows_reach_changes_no_bit(bank: EmbeddedLog) -> None:
    bounded = hw.FeatureView(
        "b",
        PAYMENTS,
        "who",
        {
            "n": hw.count(over="7d"),
            "late": hw.sum("amount", over="5d", delay="3d"),
            "worn": hw.decayed_sum("amount", half_life="6h"),
            "first": hw.first("amount", over="9d"),
        },
    )
    asked = [Asked({"who": who}, micros(day), 600) for who in range(5) for day in (40, 70, 99, 104)]
    some = features([bounded], asked, bank)
    everything = features([bounded], asked, bank, whole=True)
    assert some.frame.equals(everything.frame)
    assert everything.events.min() > 0 == some.events.max()


def test_a_view_that_reads_only_the_key(bank: EmbeddedLog) -> None:
    view = hw.FeatureView("v", PROFILES, "who", {"n": hw.count()})
    assert features([view], [Asked({"who": 1}, micros(200), 10**6)], bank).frame["n"].to_list() == [3]
