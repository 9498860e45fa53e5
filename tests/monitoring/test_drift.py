"""A window against the reference: what is found, what is called first, and what stays quiet."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from headwater.core.errors import DataError
from headwater.core.instant import DAY, SECOND, WEEK
from headwater.models.baseline import Baseline
from headwater.models.flow import flow
from headwater.models.inputs import Inputs
from headwater.models.spread import Rows, spread
from headwater.monitoring.drift import DriftReport, compare
from headwater.monitoring.streams import StreamWindow
from headwater.monitoring.verdict import Rule
from headwater.monitoring.window import Window
from headwater.store.decision import Decision
from tests.letters import says

NAMES = ("age", "income", "way", "rare")
WAYS = ("branch", "phone", "web")
FIRST = 20_000
WEEKLY = Rule(every=WEEK)


def vectors(rows: int, seed: int) -> np.ndarray:
    """A normal, a heavy-tailed, a category of three, and one that is null in a row of a hundred."""
    rng = np.random.default_rng(seed)
    rare = np.where(rng.random(rows) < 0.01, np.nan, rng.normal(size=rows))
    codes = rng.choice(3, rows, p=[0.6, 0.3, 0.1]).astype(float)
    return np.column_stack([rng.normal(size=rows), rng.lognormal(size=rows), codes, rare])


def payments(
    days: int, seed: int, first: int = FIRST, late: float = 0.0, a_day: int = 300
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    when = np.sort(rng.integers(first * DAY, (first + days) * DAY, days * a_day))
    return when, when + ((rng.lognormal(size=len(when)) + late) * SECOND).astype(np.int64)


@pytest.fixture(scope="module")
def base() -> Baseline:
    X = vectors(20_000, 0)
    who = np.random.default_rng(1).integers(0, 3_000, len(X))
    times = np.sort(np.random.default_rng(2).integers(0, 20 * WEEK, len(X)))
    flows = {"payments": flow(*payments(140, 3))}
    found = Baseline.learned_from(X, NAMES, categories={"way": WAYS}, entities=who, times=times, flows=flows)
    scores = spread(1 / (1 + np.exp(-X[:, 0])), Rows.of(len(X), who, times))
    return Baseline(found.spreads, found.learned, found.flows, scores)


def window(X: np.ndarray, **changes: Any) -> Window:
    who = np.random.default_rng(9).integers(0, 3_000, len(X))
    parts: dict[str, Any] = {
        "start": FIRST * DAY,
        "stop": (FIRST + 7) * DAY,
        "names": NAMES,
        "X": X,
        "entities": who,
    }
    return Window(**{**parts, "scores": 1 / (1 + np.exp(-X[:, 0]))} | changes)


def look(base: Baseline, X: np.ndarray, **changes: Any) -> DriftReport:
    return compare(base, window(X, **changes), rule=WEEKLY)


def test_more_of_the_same_is_quiet(base: Baseline) -> None:
    levels = [look(base, vectors(1_500, seed)).level for seed in range(10, 60)]
    assert set(levels) == {"quiet"}


def test_half_a_standard_deviation_is_an_alarm_and_named_first(base: Baseline) -> None:
    X = vectors(700, 7)
    X[:, 3] += 0.5
    report = look(base, X)
    assert (report.level, report.findings[0].subject, report.features[0].name) == ("alarm", "rare", "rare")
    assert report.features[0].psi == pytest.approx(0.25, abs=0.1)
    assert report.features[0].ks == pytest.approx(0.2, abs=0.05)
    assert report.words().splitlines()[0] == (
        f"alarm: 700 rows of {report.entities} entities, 2024-10-04T00:00:00Z to 2024-10-11T00:00:00Z"
    )
    assert "rare is distributed otherwise than in training: PSI 0." in report.words()


def test_the_score_is_looked_at_like_a_feature_and_told_last(base: Baseline) -> None:
    X = vectors(2_000, 7)
    X[:, 0] += 1.0
    report = look(base, X)
    assert report.score is not None
    assert report.score.level == "alarm"
    assert [one.subject for one in report.findings] == ["age", "score"]


def test_ks_is_scipys(base: Baseline) -> None:
    X = vectors(3_000, 8)
    X[:, 1] *= 1.3
    report = look(base, X)
    found = {one.name: one for one in report.features}
    usual = vectors(20_000, 0)
    for place, name in enumerate(("age", "income")):
        exact = ks_2samp(X[:, place], usual[:, place]).statistic
        assert found[name].ks == pytest.approx(exact, abs=1 / 256)


def test_a_category_that_vanishes(base: Baseline) -> None:
    X = vectors(700, 7)
    X[X[:, 2] == 2, 2] = 0.0
    report = look(base, X)
    assert report.level == "alarm"
    assert {one.subject for one in report.findings} == {"way"}
    assert "way has lost 'web': 10.2% of the rows in training (alarm)" in report.words()


def test_nulls_that_become_more(base: Baseline) -> None:
    X = vectors(700, 7)
    X[::11, 3] = np.nan
    report = look(base, X)
    assert (report.findings[0].subject, report.findings[0].measure) == ("rare", "missing")
    assert report.findings[0].words == "is missing in 9.9% of the rows, in training in 1.0%"


def test_a_feature_that_is_gone_altogether(base: Baseline) -> None:
    X = vectors(700, 7)
    X[:, 1] = np.nan
    report = look(base, X)
    assert (report.findings[0].subject, report.findings[0].effect) == ("income", 1.0)
    assert np.isnan(report.features[0].psi)


def test_values_outside_of_all_that_was_seen(base: Baseline) -> None:
    X = vectors(700, 7)
    X[:25, 0] = 40.0
    report = look(base, X)
    (found,) = (one for one in report.findings if one.measure == "range" and one.subject == "age")
    assert (found.subject, found.level) == ("age", "alarm")
    assert "3.57% of the rows: 0.00% below, 3.57% above" in found.words


def test_one_entity_out_of_range_is_no_alarm(base: Baseline) -> None:
    X = vectors(700, 7)
    X[:25, 0] = 40.0
    who = np.arange(700)
    who[:25] = 1
    assert all(one.measure != "range" for one in look(base, X, entities=who).findings)


def test_a_frame_tells_an_unseen_category_from_a_null(base: Baseline) -> None:
    inputs = Inputs(NAMES, dict.fromkeys(NAMES, pl.Float64()) | {"way": pl.String()}, {}, {"way": WAYS})
    X = vectors(700, 7)
    ways = [WAYS[int(code)] for code in X[:, 2]]
    ways[:20] = ["drone"] * 20
    frame = pl.DataFrame({"age": X[:, 0], "income": X[:, 1], "way": ways, "rare": X[:, 3]}).with_columns(
        pl.Series("who", np.arange(700))
    )
    seen = Window.of_frame(inputs, frame, entity="who", start=0, stop=WEEK)
    report = compare(base, seen, rule=WEEKLY)
    (found,) = (one for one in report.findings if one.measure == "unseen")
    assert (found.subject, found.level) == ("way", "alarm")
    assert found.words == "holds a category that training never saw in 2.86% of the rows"


def test_few_rows_or_few_entities_get_no_verdict(base: Baseline) -> None:
    X = vectors(700, 7)
    X[:, 0] += 3.0
    assert look(base, X[:20]).level == "too few"
    assert look(base, X, entities=np.arange(700) % 20).level == "too few"
    assert look(base, X[:0]).level == "too few"
    assert all(one.level == "too few" for one in look(base, X[:20]).features)
    assert {one.unjudged for one in look(base, X, entities=np.arange(700) % 20).features} == {
        "too few entities: 20 of 30"
    }


def test_a_distribution_with_too_few_rows_is_not_called_quiet(base: Baseline) -> None:
    """The age moves so much from week to week that no window is worth more than twelve rows of it."""
    restless = replace(base.spreads["age"], variation=1 / 12.9)
    moving = replace(base, spreads={**base.spreads, "age": restless})
    X = vectors(700, 7)
    X[:, 0] += 3.0
    report = look(moving, X)
    age = next(one for one in report.features if one.name == "age")
    assert [one.measure for one in age.findings] == ["missing"]  # that could be looked at, and is as usual
    assert (age.level, age.unjudged, age.findings[0].level) == ("too few", "too few rows: 12 of 50", "quiet")
    others = [one for one in report.features if one.name != "age"]
    assert {(one.level, one.unjudged) for one in others} == {("quiet", None)}
    said = "Whether 1 of 5 moved is not known: age (too few rows: 12 of 50)."
    assert said in report.words()
    form = report.to_json()
    assert (form["unjudged"], form["features"][-1]["unjudged"]) == ([said], "too few rows: 12 of 50")


def test_what_can_be_looked_at_is_loud_though_the_distribution_is_not_known(base: Baseline) -> None:
    moving = replace(base, spreads={**base.spreads, "age": replace(base.spreads["age"], variation=1 / 12.9)})
    X = vectors(700, 7)
    X[::3, 0] = np.nan
    age = look(moving, X).features[0]
    assert (age.name, age.level, age.findings[0].measure) == ("age", "alarm", "missing")
    assert age.unjudged == "too few rows: 12 of 50"


def test_a_column_that_was_always_null_is_quiet_while_it_stays_so() -> None:
    usual = vectors(20_000, 0)
    usual[:, 1] = np.nan
    who = np.random.default_rng(1).integers(0, 3_000, len(usual))
    empty = Baseline.learned_from(usual, NAMES, categories={"way": WAYS}, entities=who, times=who, flows={})
    X = vectors(700, 7)
    X[:, 1] = np.nan
    income = next(one for one in look(empty, X).features if one.name == "income")
    assert (income.level, income.unjudged) == ("quiet", None)


def test_very_many_rows_do_not_make_a_trifle_an_alarm() -> None:
    usual, who = vectors(200_000, 0), np.arange(200_000)
    base = Baseline.learned_from(usual, NAMES, categories={"way": WAYS}, entities=who, times=who, flows={})
    X = vectors(200_000, 7)
    X[:, 0] += 0.05
    report = look(base, X, entities=who)
    age = next(one for one in report.features if one.name == "age")
    assert age.findings[0].p < 1e-4
    assert report.level == "quiet"


def test_rows_of_the_same_entities_prove_little(base: Baseline) -> None:
    """Forty people a hundred times each, who happen to be older by half a standard deviation."""
    X = np.repeat(vectors(40, 11), 100, axis=0)
    who = np.repeat(np.arange(40), 100)
    assert look(base, X, entities=who).level in ("quiet", "too few")
    assert look(base, X, entities=np.arange(len(X))).level == "alarm"  # as if all were strangers


def test_a_stream_that_is_late_comes_first(base: Baseline) -> None:
    X = vectors(700, 7)
    X[:, 0] += 0.6
    when, came = payments(14, 5, first=FIRST - 7, late=6 * 3_600)
    held = StreamWindow.of(when, came, FIRST * DAY, (FIRST + 7) * DAY)
    report = compare(base, window(X), streams={"payments": held}, rule=WEEKLY)
    assert [one.subject for one in report.findings][:2] == ["payments", "age"]
    assert report.findings[0].words.startswith(
        "comes late otherwise than in training: half the events within 6.0 h, usually within 1.0 s"
    )


def test_a_stream_that_stops_or_doubles(base: Baseline) -> None:
    def level(a_day: int) -> tuple[str, str]:
        when, came = payments(7, 5, a_day=a_day) if a_day else (np.zeros(0, np.int64), np.zeros(0, np.int64))
        held = StreamWindow.of(when, came, FIRST * DAY, (FIRST + 7) * DAY)
        report = compare(base, window(vectors(700, 7)), streams={"payments": held}, rule=WEEKLY)
        found = [one for one in report.streams[0].findings if one.measure == "volume"]
        return found[0].level, found[0].words

    assert level(300)[0] == "quiet"
    assert level(120) == ("alarm", "has 840 events in 7d, fewer than the 2,099 usual in training")
    assert level(700)[0] == "alarm"
    assert level(0) == ("alarm", "has no events in 7d, where 2,099 are usual")


def test_history_imported_in_bulk_says_nothing_of_lateness() -> None:
    when, _ = payments(140, 3)
    held = StreamWindow.of(*payments(7, 5, late=1e6), FIRST * DAY, (FIRST + 7) * DAY)
    base = Baseline({}, (0, 1), {"payments": flow(when, when)})
    report = compare(base, window(np.zeros((0, 4))), streams={"payments": held}, rule=WEEKLY)
    assert [one.measure for one in report.streams[0].findings] == ["volume"]
    assert np.isnan(report.streams[0].usual_lateness)


def test_a_report_is_plain_json_and_a_frame(base: Baseline) -> None:
    report = look(base, vectors(700, 7))
    told = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert [one["name"] for one in told["features"]] == [one.name for one in report.features]
    assert report.frame().height == 5
    assert set(report.frame()["level"]) == {"quiet"}


def test_what_cannot_be_compared_is_said(base: Baseline) -> None:
    other = Window(0, WEEK, ("age", "new"), vectors(700, 7)[:, :2], np.arange(700), np.full(700, 0.5))
    blank = Baseline(base.spreads, base.learned)
    held = StreamWindow.of(*payments(7, 5), 0, WEEK)
    report = compare(blank, other, streams={"payments": held}, rule=WEEKLY)
    assert report.notes == (
        "There is no reference for new.",
        "There is no reference for the score: the model was not judged on rows of its own.",
        "There is no reference for the stream payments.",
    )


def test_decision_records_make_a_window() -> None:
    def decided(time: int, **features: float | None) -> Decision:
        return Decision("m", "d", "h", "p", "q", {"who": f"a{time}"}, time, 0, time, features, 0.5, "act")

    records = [
        decided(1, age=30.0, rare=None),
        decided(2, age=40.0, rare=1.0),
        decided(3, age=1.0),
        decided(9),
    ]
    found = Window.of_decisions(records, ("age", "rare"), entity="who", start=0, stop=5)
    np.testing.assert_array_equal(found.X, [[30.0, np.nan], [40.0, 1.0]])
    assert found.scores is not None
    assert found.scores.tolist() == [0.5, 0.5]
    assert found.notes == ("1 decisions of another definition were left out.",)
    with says(
        DataError,
        """
        decisions do not say whom they are about
          expected: the key account
          got:      2 of 2 without it
          do:       name the key of the model's first view
        """,
    ):
        Window.of_decisions(records, ("age", "rare"), entity="account", start=0, stop=5)


def test_parts_of_different_length_are_refused() -> None:
    with says(
        DataError,
        """
        the parts of a window differ in length
          expected: 2 rows of 2 inputs
          got:      X 3 x 2, entities 2 x 2
          do:       give one entity, one score and one vector for each row
        """,
    ):
        Window(0, 1, ("a", "b"), np.zeros((3, 2)), np.arange(2))
