"""Live: what an event makes fresh is what replay would have found at that moment, to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DataError, ModelError
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.serving.live import Live, Refresh
from headwater.serving.scoring import Scoring
from headwater.training.dataset import features
from headwater.training.history import gather
from headwater.training.spine import Spine
from tests.letters import says
from tests.serving.bank import (
    PAYMENTS,
    PROJECT,
    RISK,
    live,
    log,
    micros,
    model,
    payment,
    profile,
    scoring,
)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with log(tmp_path) as made:
        yield made


def only(refreshes: list[Refresh]) -> Refresh:
    (refresh,) = refreshes
    return refresh


def as_of(bank: EmbeddedLog, refresh: Refresh) -> np.ndarray:
    """The vector of a refresh as a training set would have it."""
    scored = refresh.scored
    batches = gather(bank, RISK_STREAMS, RISK.keys)
    moments = np.array([scored.time]), np.array([max(refresh.arrival, scored.time)])
    frame = features(RISK, batches, Spine(pl.DataFrame(scored.keys), *moments, pl.DataFrame()))
    vector: np.ndarray = scoring().artifact.inputs.matrix(frame)[0]
    return vector


RISK_STREAMS = list(PROJECT.streams)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a.view(np.int64), b.view(np.int64)))


def test_served_equals_trained(bank: EmbeddedLog) -> None:
    made = live(bank)
    steps: list[tuple[str, pl.DataFrame, float]] = [
        ("payments", payment(100_001, 3, 100.1, 40.0), 100.1),
        ("payments", payment(100_002, 3, 100.2, 7.25, None), 100.2),
        ("profiles", profile(3, 100.3, 12.5, "smith"), 100.3),
        ("payments", payment(100_003, 999, 100.4), 100.4),  # nobody knows this account yet
        ("payments", payment(100_004, 3, 99.0, 60.0, "cash"), 100.5),  # late
        ("payments", payment(100_005, 3, 140.0), 140.0),  # after a long silence
        ("profiles", profile(999, 20.0, 80.0, None), 141.0),  # very late, and a null
    ]
    for stream, frame, arrived in steps:
        refresh = only(made.append(stream, frame, arrival=micros(arrived))[1])
        assert same_bits(refresh.scored.x, as_of(bank, refresh)), (stream, frame)
        assert refresh.scored.score == scoring().scorer.score(refresh.scored.x[np.newaxis])[0]
        assert refresh.scored.offset == bank.end() - 1 == made.offset


#       day 100      101           102
#       ───●──────────○─────────────●──────►      ○ arrives last: the newest event time stays 102
def test_a_late_event_refreshes_as_of_the_newest(bank: EmbeddedLog) -> None:
    made = live(bank)
    made.append("payments", payment(100_001, 3, 100), arrival=micros(100))
    made.append("payments", payment(100_002, 3, 102), arrival=micros(102))
    refresh = only(made.append("payments", payment(100_003, 3, 101, 77.0), arrival=micros(103))[1])
    assert refresh.scored.time == micros(102)
    assert refresh.late == micros(102) - micros(101)
    assert {"n_7d", "n_30d", "spent_7d", "spent_30d", "pace"} <= set(refresh.moved)
    assert "way" not in refresh.moved


def test_a_late_event_out_of_every_window_moves_nothing(bank: EmbeddedLog) -> None:
    made = live(bank)
    made.append("payments", payment(100_001, 3, 150), arrival=micros(150))
    refresh = only(made.append("payments", payment(100_002, 3, 101, 77.0), arrival=micros(151))[1])
    assert (refresh.late, refresh.moved) == (micros(150) - micros(101), ())


def test_an_event_in_order_is_not_late(bank: EmbeddedLog) -> None:
    refresh = only(live(bank).append("payments", payment(100_001, 3, 101), arrival=micros(101))[1])
    assert (refresh.late, refresh.moved) == (0, ())


# The newest event time is that of the entity, whatever stream it came from.
def test_a_profile_makes_a_payment_late(bank: EmbeddedLog) -> None:
    made = live(bank)
    made.append("profiles", profile(3, 105), arrival=micros(105))
    refresh = only(made.append("payments", payment(100_001, 3, 104), arrival=micros(106))[1])
    assert (refresh.scored.time, refresh.late) == (micros(105), micros(105) - micros(104))


def test_a_duplicate_refreshes_nothing(bank: EmbeddedLog) -> None:
    made = live(bank)
    made.append("payments", payment(100_001, 3, 101), arrival=micros(101))
    before = made.score("risk", {"who": 3}, micros(102))
    receipt, refreshes = made.append("payments", payment(100_001, 3, 101), arrival=micros(101.5))
    assert (receipt.duplicates, refreshes) == (1, [])
    receipt, refreshes = made.append("payments", payment(100_001, 3, 101, 999.0), arrival=micros(101.5))
    assert (receipt.refused, refreshes) == (1, [])
    assert same_bits(made.score("risk", {"who": 3}, micros(102)).x, before.x)


def test_a_batch_refreshes_event_by_event(bank: EmbeddedLog, tmp_path: Path) -> None:
    both = pl.concat([payment(100_001, 3, 101), payment(100_001, 3, 101), payment(100_002, 4, 101)])
    _, refreshes = live(bank).append("payments", both, arrival=micros(101))
    (tmp_path / "other").mkdir()
    with log(tmp_path / "other") as again:
        made = live(again)
        one = only(made.append("payments", both[:1], arrival=micros(101))[1])
        two = only(made.append("payments", both[2:], arrival=micros(101))[1])
    assert [r.scored.keys for r in refreshes] == [{"who": 3}, {"who": 4}]
    assert [r.scored.score for r in refreshes] == [one.scored.score, two.scored.score]
    assert [r.scored.offset for r in refreshes] == [one.scored.offset, two.scored.offset]


def test_a_read_leaves_no_trace(bank: EmbeddedLog) -> None:
    made = live(bank)
    for at in (100, 101, 400):
        made.score("risk", {"who": 3}, micros(at))
        made.score("risk", {"who": 12_345}, micros(at))
    refresh = only(made.append("payments", payment(100_001, 3, 101), arrival=micros(101))[1])
    assert same_bits(refresh.scored.x, as_of(bank, refresh))


def test_a_score_on_request_is_as_of_now(bank: EmbeddedLog) -> None:
    made = live(bank)
    refresh = only(made.append("payments", payment(100_001, 3, 101), arrival=micros(101))[1])
    assert made.score("risk", {"who": 3}, micros(101)).score == refresh.scored.score
    later = made.score("risk", {"who": 3}, micros(400))
    assert (later.x[:4] == 0).all(), "every window is empty by then"


def test_going_on_after_a_restart(bank: EmbeddedLog) -> None:
    first = live(bank)
    first.append("payments", payment(100_001, 3, 101), arrival=micros(101))
    engine = Engine(PROJECT.views)
    again = Live(bank, engine, [scoring()])
    assert again.catch_up() == bank.end()
    assert again.catch_up() == 0
    assert same_bits(
        again.score("risk", {"who": 3}, micros(102)).x, first.score("risk", {"who": 3}, micros(102)).x
    )


def test_timings_come_from_the_stopwatch(bank: EmbeddedLog) -> None:
    ticks = iter([10, 30, 35])
    made = Live(bank, Engine(PROJECT.views), [scoring()], lambda: next(ticks))
    made.catch_up()
    refresh = only(made.append("payments", payment(100_001, 3, 101), arrival=micros(101))[1])
    assert (refresh.sent, refresh.accepted, refresh.fresh) == (10, 30, 35)


def test_request_columns_come_with_the_event(tmp_path: Path) -> None:
    asked = model(name="asked", request=["amount"])
    with log(tmp_path) as bank:
        made = live(bank, scoring(asked))
        refresh = only(made.append("payments", payment(100_001, 3, 101, 33.5), arrival=micros(101))[1])
        assert refresh.scored.request == {"amount": 33.5}
        assert refresh.scored.x[asked.inputs.index("amount")] == 33.5
        assert made.append("profiles", profile(3, 102), arrival=micros(102))[1] == [], "it brings no amount"
        found = made.score("asked", {"who": 3}, micros(103), {"amount": 33.5})
        assert found.x[asked.inputs.index("amount")] == 33.5


def test_several_models_on_one_engine(tmp_path: Path) -> None:
    second = model(
        name="second", features=[hw.FeatureView("plain", PAYMENTS, "who", {"k": hw.count()})], derived={}
    )
    served = [scoring(), scoring(second)]
    with log(tmp_path) as bank:
        made = Live(bank, Engine([*RISK.features, *second.features]), served)
        made.catch_up()
        _, refreshes = made.append("payments", payment(100_001, 3, 101), arrival=micros(101))
        assert [r.scored.model for r in refreshes] == ["risk", "second"]
        _, refreshes = made.append("profiles", profile(3, 102), arrival=micros(102))
        assert [r.scored.model for r in refreshes] == ["risk"]


WRONG: list[tuple[str, Mapping[str, Any], str]] = [
    (
        "other",
        {"who": 3},
        """
        no such model is served
          expected: risk
          got:      'other'
          do:       name a model of the project that was trained
        """,
    ),
    (
        "risk",
        {},
        """
        the request does not say enough
          expected: who
          got:      no who
          where:    risk
          do:       name the entity by all its keys, and give every request column, which may be null
        """,
    ),
    (
        "risk",
        {"who": "three"},
        """
        a key has another type than the stream's
          expected: Int64
          got:      str
          where:    who
          do:       give the key in the stream's type
        """,
    ),
]


@pytest.mark.parametrize(("name", "keys", "text"), WRONG, ids=["model", "key", "type"])
def test_what_a_request_may_not_be(bank: EmbeddedLog, name: str, keys: dict[str, Any], text: str) -> None:
    with says(DataError, text):
        live(bank).score(name, keys, micros(101))


def test_a_frame_that_does_not_fit_changes_nothing(bank: EmbeddedLog) -> None:
    made = live(bank)
    end, before = bank.end(), made.score("risk", {"who": 3}, micros(101))
    with pytest.raises(DataError, match="columns and types"):
        made.append("payments", payment(1, 3, 101).drop("amount"), arrival=micros(101))
    assert bank.end() == end
    assert same_bits(made.score("risk", {"who": 3}, micros(101)).x, before.x)


def test_an_artifact_of_another_definition_does_not_serve() -> None:
    other = model(derived={"pace": pl.col("spent_7d") / 2})
    mine = scoring()
    with says(
        ModelError,
        f"""
        the model risk was trained from another definition
          expected: definition {hash_of(other)}
          got:      definition {mine.definition_hash}
          do:       train it again, or go back to the definition that it was trained from
        """,
    ):
        Scoring(other, mine.artifact, "digest")


def hash_of(definition: hw.Model) -> str:
    from headwater.definitions.compile import content_hash

    return content_hash(definition)
