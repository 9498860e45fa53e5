"""Four lives: the arithmetic of what came back, and a quick run of all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.loop import kept
from benchmarks.loop.life import Lives, Size, Turn
from benchmarks.loop.recovery import Ranked, auc, cost, counts, shares, weekly
from headwater.core.instant import DAY, WEEK


def lives(lost: float, back: float, seed: int = 0) -> Lives:
    """Scores that are the truth with noise: little before the change, more after it, less when retrained.

    week   -6 ... -1 | 0 ... 9       fresh: 0.2 before, 0.2 + lost after; again: lost * (1 - back)
    """
    rng = np.random.default_rng(seed)
    n = 8_000
    times = np.sort(rng.integers(-6 * WEEK, 10 * WEEK, n))
    truth = rng.beta(0.6, 2.0, n)
    y = (rng.random(n) < truth).astype(np.float64)
    noise, after = rng.normal(size=n), times >= 0
    fresh = truth + noise * (0.2 + lost * after)
    again = truth + noise * (0.2 + lost * (1 - back) * after)
    scores = {"nightly": fresh, "fresh": fresh, "loop": again, "truth": truth}
    candidates = {0: np.where(after, again, np.nan)}
    return Lives(
        Size(before=6, after=10), 0, times, rng.integers(0, 500, n), y, scores, truth, (), candidates
    )


@pytest.mark.parametrize(("back", "low", "high"), [(0.0, 0.0, 0.0), (0.5, 0.3, 0.8), (1.0, 0.9, 1.2)])
def test_what_came_back_is_a_share_of_what_was_taken(back: float, low: float, high: float) -> None:
    (share,) = shares([lives(0.5, back)])
    assert share.week == 0
    assert share.taken.value > 0.05
    assert low <= share.share.value <= high
    assert share.taken_of_bookings == share.taken.value
    assert share.share.low <= share.share.value <= share.share.high
    assert share.regained.value == pytest.approx(share.share.value * share.taken.value)


def test_the_expected_auc_is_what_outcomes_come_to_on_average() -> None:
    rng = np.random.default_rng(3)
    chance, scores = rng.beta(0.6, 2.0, 400), rng.normal(size=400).round(1)
    fallen = [auc((rng.random(400) < chance).astype(np.float64), scores) for _ in range(2_000)]
    assert Ranked.of(chance, scores).auc() == pytest.approx(np.mean(fallen), abs=0.003)


def test_a_weight_of_two_is_a_row_twice() -> None:
    rng = np.random.default_rng(4)
    y, scores = (rng.random(300) < 0.3).astype(np.float64), rng.normal(size=300).round(1)
    weight = rng.integers(0, 3, 300)
    twice = np.repeat(np.arange(300), weight)
    assert Ranked.of(y, scores).auc(weight.astype(np.float64)) == pytest.approx(auc(y[twice], scores[twice]))


@pytest.mark.parametrize(("verdict", "brought"), [("promote", 1.0), ("hold", 0.0)])
def test_the_loop_is_its_champion_and_not_its_candidate(verdict: str, brought: float) -> None:
    one = lives(0.5, 0.5)
    (share,) = shares([replace(one, turns=(Turn(0, 2, (0, 0), verdict, (), (1.0, 1.0)),))])
    assert share.champion.value == pytest.approx(brought * share.share.value)
    assert share.share.value > 0.3


def test_worlds_are_averaged() -> None:
    alone = [shares([lives(0.5, back, seed)])[0] for back, seed in ((0.4, 1), (0.8, 2))]
    (both,) = shares([lives(0.5, 0.4, 1), lives(0.5, 0.8, 2)])
    assert both.regained.value == pytest.approx(np.mean([one.regained.value for one in alone]))
    assert both.rows == sum(one.rows for one in alone)
    assert both.share.high - both.share.low < max(one.share.high - one.share.low for one in alone)


def test_weeks_hold_every_decision_once() -> None:
    one = lives(0.5, 1.0)
    weeks = weekly([one])
    assert [week["week"] for week in weeks] == list(range(-6, 10))
    assert sum(week["rows"] for week in weeks) == len(one.y)
    inside = one.week == 3
    assert weeks[9]["truth"]["auc"] == auc(one.y[inside], one.scores["truth"][inside])
    assert weeks[9]["fresh"]["brier"] > weeks[9]["truth"]["brier"]


def test_the_bounds_of_the_policy_are_the_cheapest_under_these_costs() -> None:
    risk = np.linspace(0.001, 0.999, 999)
    ours = cost(risk, np.ones(999)) * risk + cost(risk, np.zeros(999)) * (1 - risk)
    for other in (0.0, 0.1, 0.3):  # everybody in one band
        band = np.full(999, other)
        flat = cost(band, np.ones(999)) * risk + cost(band, np.zeros(999)) * (1 - risk)
        assert (ours <= flat + 0.2).all()


def test_retrainings_are_counted_from_known_outcomes() -> None:
    # change           matured: 30 days later, the next whole week      whole: 59 + 30 days later
    # 0 . . . . . . . . . . . . . 5 . . . . . . . . . . . . . . . . . . 13
    assert counts() == {"change": 0, "matured": 5, "whole": 13}
    assert 5 * WEEK > 30 * DAY >= 4 * WEEK


def test_a_life_is_kept_turn_by_turn_and_whole(tmp_path: Path) -> None:
    one = replace(lives(0.5, 0.5), turns=(Turn(0, 2, (7, 1), "hold", ("outcomes brier",), (1.0, 2.0)),))
    assert (kept.load_so_far(tmp_path), kept.load(tmp_path)) == (None, None)
    kept.save_so_far(tmp_path, one.turns, one.scores["loop"], one.candidates)
    (tmp_path / "mlartifacts").mkdir()
    turns, scores, candidates = kept.load_so_far(tmp_path) or ([], np.empty(0), {})
    assert tuple(turns) == one.turns
    assert np.array_equal(scores, one.scores["loop"])
    assert np.array_equal(candidates[0], one.candidates[0], equal_nan=True)
    kept.save(tmp_path, one)
    assert [path.name for path in tmp_path.iterdir()] == ["life.npz"]
    again = kept.load(tmp_path)
    assert again is not None
    assert (again.size, again.regime, again.turns) == (one.size, one.regime, one.turns)
    assert shares([again]) == shares([one])
    assert weekly([again]) == weekly([one])


@pytest.mark.slow
def test_a_quick_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.loop", "--quick", "--folder", str(tmp_path)]
    begun = subprocess.run([*command, "--until", "0"], capture_output=True, text=True, check=False)
    assert begun.returncode == 0, begun.stdout + begun.stderr
    assert "week +0: version 3" in begun.stdout
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goes on from week +0" in done.stdout
    assert "week +0: version 3" not in done.stdout
    told = json.loads((tmp_path / "loop.json").read_text(encoding="utf-8"))
    assert [week["week"] for week in told["weeks"]] == [-2, -1, 0, 1, 2]
    assert [turn["week"] for turn in told["turns"][0]] == [-1, 0, 1, 2]
    assert [turn["version"] for turn in told["turns"][0]] == [2, 3, 4, 5]
    assert all(
        turn["new"] == [0, 0] for turn in told["turns"][0]
    )  # no outcome of the new regime is known yet
    assert all(week["truth"]["auc"] > week["fresh"]["auc"] for week in told["weeks"][:1])
    assert told["recovery"]["matured"]["kept"] is False
    assert "MISSED" in done.stdout
    assert (tmp_path / "loop.svg").read_text(encoding="utf-8").startswith("<?xml")
