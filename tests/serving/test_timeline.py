"""A timeline is what live said after each event, to the bit, with what moved it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DataError
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.serving.live import Live, Refresh
from headwater.serving.scoring import Scoring
from headwater.serving.timeline import Moment, timeline
from headwater.testing import events
from headwater.training.train import Plan, train
from tests.letters import says
from tests.serving.bank import POLICY, PROJECT, live, log, micros, model, payment, profile, scoring


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with log(tmp_path, past=False) as made:
        yield made


def went(made: Live) -> list[Refresh]:
    """Events of account 3, late ones too, among those of others."""
    steps: list[tuple[str, pl.DataFrame]] = [
        ("payments", payment(1, 3, 1, 40.0)),
        ("payments", payment(2, 4, 1, 11.0)),
        ("profiles", profile(3, 2)),
        ("payments", payment(3, 3, 5, 70.0, "cash")),
        ("payments", payment(4, 4, 50, 90.0)),
        ("payments", payment(5, 3, 3, 60.0)),  # late
        ("profiles", profile(3, 1.5, 20.0, "smith")),  # late
        ("payments", payment(6, 3, 45, 10.0)),
        ("payments", payment(7, 3, 44, 85.0)),  # late
    ]
    found: list[Refresh] = []
    for i, (stream, frame) in enumerate(steps):
        found += made.append(stream, frame, arrival=micros(60 + i))[1]
    return [refresh for refresh in found if refresh.scored.keys == {"who": 3}]


def same(moment: Moment, refresh: Refresh) -> bool:
    scored = refresh.scored
    return (moment.offset, moment.time, moment.late, moment.score, moment.arrival, moment.keys) == (
        scored.offset,
        scored.time,
        refresh.late,
        scored.score,
        refresh.arrival,
        scored.keys,
    )


def test_it_is_what_live_said(bank: EmbeddedLog) -> None:
    refreshes = went(live(bank))
    found = timeline(scoring(), PROJECT.views, 3, bank, policy=POLICY)
    assert found.next is None
    assert len(found.moments) == len(refreshes) == 7
    assert all(map(same, found.moments, refreshes))
    assert [moment.before for moment in found.moments] == [None, *(r.scored.score for r in refreshes[:-1])]
    assert [moment.band for moment in found.moments] == [POLICY.band(r.scored.score) for r in refreshes]
    assert [m.late > 0 for m in found.moments] == [False, False, False, True, True, False, True]


def test_what_moved_it(bank: EmbeddedLog) -> None:
    refreshes = went(live(bank))
    moments = timeline(scoring(), PROJECT.views, 3, bank).moments
    assert moments[0].moved == ()
    for place in range(1, len(moments)):
        x = [refreshes[place - 1].scored.x, refreshes[place].scored.x]
        change = scoring().contributions(x[1])[0] - scoring().contributions(x[0])[0]
        strongest = np.sort(np.abs(change))[::-1]
        moved = moments[place].moved
        assert [abs(one.change) for one in moved] == strongest[: len(moved)].tolist()
        for one in moved:
            assert one.change == change[scoring().names.index(one.feature)]
            assert one.change != 0


def test_pages(bank: EmbeddedLog) -> None:
    went(live(bank))
    whole = timeline(scoring(), PROJECT.views, 3, bank).moments
    paged: list[Moment] = []
    after = None
    for _ in range(10):
        page = timeline(scoring(), PROJECT.views, 3, bank, after=after, limit=3)
        paged += page.moments
        after = page.next
        if after is None:
            break
    assert tuple(paged) == whole
    back = timeline(scoring(), PROJECT.views, 3, bank, limit=4, newest=True)
    rest = timeline(scoring(), PROJECT.views, 3, bank, limit=4, newest=True, after=back.next)
    assert (*back.moments, *rest.moments) == whole[::-1]
    assert rest.next is None


def test_as_of_an_earlier_end_of_the_log(bank: EmbeddedLog) -> None:
    went(live(bank))
    whole = timeline(scoring(), PROJECT.views, 3, bank).moments
    assert timeline(scoring(), PROJECT.views, 3, bank, stop=4).moments == whole[:3]


def test_an_entity_without_events(bank: EmbeddedLog) -> None:
    assert timeline(scoring(), PROJECT.views, 99, bank).moments == ()
    with says(
        DataError,
        """
        a key cannot be one of the stream's
          expected: Int64
          got:      String
          where:    who
          do:       give keys of the stream's type
        """,
    ):
        timeline(scoring(), PROJECT.views, "three", bank)


def test_request_columns_come_with_the_event(bank: EmbeddedLog) -> None:
    asked = scoring(model(name="asked", request=["amount"]))
    refreshes = went(live(bank, asked))
    assert all(map(same, timeline(asked, PROJECT.views, 3, bank).moments, refreshes))
    assert len(refreshes) == 5


# --- A model of two keys ---------------------------------------------------------------------------

CARDS = hw.Stream(
    "cards",
    {"who": pl.Int64, "shop": pl.String, "time": pl.Datetime("us", "UTC"), "amount": pl.Float64},
)
BY_WHO = hw.FeatureView("by_who", CARDS, "who", {"spent": hw.sum("amount", over="30d")})
BY_SHOP = hw.FeatureView("by_shop", CARDS, "shop", {"taken": hw.sum("amount", over="30d")})
TWO = model(
    name="two",
    features=[BY_WHO, BY_SHOP],
    derived={},
    label=hw.happens(CARDS, pl.col("amount") > 90, within="10d"),
    observe=hw.each(CARDS),
)


def test_two_keys(tmp_path: Path) -> None:
    def card(who: int, shop: str, day: float, amount: float) -> pl.DataFrame:
        when = pl.Series([micros(day)]).cast(pl.Datetime("us", "UTC"))[0]
        return events(CARDS, {"who": who, "shop": shop, "time": when, "amount": amount})

    random = np.random.default_rng(1)
    made_up = pl.concat(
        card(int(who), "ab"[int(who) % 2], 90 * i / 300, float(random.gamma(2.0, 20.0)))
        for i, who in enumerate(random.integers(0, 9, 300))
    )
    trained = two_keys(made_up)
    with EmbeddedLog.open(tmp_path / "cards.log", [CARDS]) as bank:
        live = Live(bank, Engine([BY_WHO, BY_SHOP]), [trained])
        refreshes = []
        for i in range(60):
            frame = card(i % 4, "abc"[i % 3], 10 + (i if i % 7 else i / 2), 3.0 * i)
            refreshes += live.append("cards", frame, arrival=micros(200 + i))[1]
        mine = [refresh for refresh in refreshes if refresh.scored.keys["who"] == 2]
        moments = timeline(trained, [BY_WHO, BY_SHOP], 2, bank).moments
        assert len(mine) == len(moments) == 15
        assert all(map(same, moments, mine))
        assert any(refresh.late for refresh in mine)


def two_keys(frame: pl.DataFrame) -> Scoring:
    """The model of two keys, trained."""
    project = hw.Project("cards", models=[TWO])
    found = train(project, None, {"cards": frame}, None, now=0, plan=Plan(bootstrap=0))
    return Scoring(TWO, found.artifact, "digest of two", found.scorer)
