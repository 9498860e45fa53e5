"""Four lives of one model through a change of regime, on the same decisions with the same outcomes.

::

    week   -6 ............... -1 | 0 ................ 17        the regime changes from week 0 to week 8
    nightly   the first model, on features as of last night
    fresh     the first model, on features as of the decision
    loop      fresh, and retrained, gated and promoted every seven days by headwater's own code
    truth     the simulation's true risk: no score can rank better

The first model learns what was known at the beginning of the first week. Each retraining sees what had
arrived by its moment, and labels that were known by then: an outcome of thirty days is thirty days late, and
that is part of what is measured. Called by ``__main__``; reads nothing of the future but to judge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.loop import kept
from benchmarks.loop.life import Float64, Lives, Size, Turn
from headwater.apps.demo import project as demo
from headwater.apps.demo.compare import last_night
from headwater.apps.demo.lender import Lender, simulate
from headwater.core.batch import Batch
from headwater.core.instant import DAY, WEEK, iso
from headwater.models.registry import CHALLENGER, CHAMPION, Registry, Version
from headwater.retraining.gate import VERDICT, gate
from headwater.retraining.promotion import Office, promote
from headwater.retraining.rules import Rules
from headwater.retraining.run import Recipe, retrain
from headwater.retraining.triggers import Why
from headwater.serving.scoring import Scoring
from headwater.store.audit import AuditTrail
from headwater.training.dataset import TrainingSet, build, features
from headwater.training.spine import Spine

MODEL = demo.early_warning
LIVES = ("nightly", "fresh", "loop", "truth")
REGIME = 365 * DAY  # before the end of the simulation
AFTER = 8  # weeks on which a retraining is judged
CHANGING = 59 * DAY  # January and February: from March on the new regime is whole


def live(size: Size, folder: Path, tell: Callable[[str], None], until: int | None = None) -> Lives:
    """Live all four.

    Args:
        size: of the world.
        folder: for registry and audit trail; one in which a life was begun is gone on with.
        tell: called with a line on each retraining.
        until: the last week in which the loop is retrained; None for all of them. What was lived by then is
            judged as if the life was no longer; later it can be gone on with.
    """
    over = kept.load(folder)
    if over is not None:
        tell("lived before")
        return over
    folder.mkdir(parents=True, exist_ok=True)
    lender = simulate(accounts=size.accounts, years=3, seed=size.seed)
    regime = lender.stop - REGIME
    events = {view.stream.name: batch(lender, view.stream.name) for view in MODEL.features}
    begin = regime - size.before * WEEK
    decisions = build(MODEL, events, begin, regime + (size.after + AFTER) * WEEK)
    loop = _Loop(size, regime, events, folder, decisions)
    with AuditTrail.open(folder / "audit.db") as trail:
        if loop.turns:
            tell(f"goes on from week {loop.turns[-1].week:+d}")
        else:
            loop.turn(-size.before, trail)  # the first champion: all lives begin with it
            tell(f"first model as of {iso(begin)}; the regime changes from {iso(regime)} on")
        stop = size.after if until is None else min(until + 1, size.after)
        for week in range(loop.turns[-1].week + 1, stop):
            loop.turn(week, trail)
            tell(_told(loop.turns[-1], stop - 1 - week))
    first = loop.champion(loop.turns[0].version)
    accounts = decisions.entity.to_numpy().astype(np.int64)
    lived = Lives(
        replace(size, after=loop.turns[-1].week + 1),
        regime,
        decisions.times,
        accounts,
        decisions.y,
        {
            "nightly": _nightly(first, events, decisions),
            "fresh": _scores(first, decisions.frame),
            "loop": loop.scores,
            "truth": lender.risk(accounts, decisions.times, MODEL.label.horizon),
        },
        lender.risk.from_bookings(accounts, decisions.times, MODEL.label.horizon),
        tuple(loop.turns[1:]),
        loop.candidates,
    )
    if lived.size == size:
        kept.save(folder, lived)
    return lived


def _told(turn: Turn, left: int) -> str:
    held = f" by {', '.join(turn.held_by)}" if turn.held_by else ""
    took = sum(turn.seconds)
    return (
        f"week {turn.week:+d}: version {turn.version}, {turn.verdict}{held}; {took:.1f} s, "
        f"about {left * took / 60:.0f} min left"
    )


class _Loop:
    """The life that is retrained: its registry, and who decides which week."""

    def __init__(
        self, size: Size, regime: int, events: Mapping[str, Batch], folder: Path, decisions: TrainingSet
    ) -> None:
        self.size, self.regime, self.events, self.folder = size, regime, events, folder
        self.decisions = decisions
        self.registry = Registry(folder, demo.project.name)
        self.turns: list[Turn] = []
        self.scores: Float64 = np.full(len(decisions), np.nan)
        self.candidates: dict[int, Float64] = {}
        so_far = kept.load_so_far(folder)
        if so_far is not None:
            self.turns, self.scores, self.candidates = so_far

    def champion(self, which: str | int = CHAMPION) -> Scoring:
        """Who decides, or another version."""
        version = self.registry.version(MODEL.name, which)
        return Scoring(MODEL, self.registry.load(MODEL.name, version.number), version.digest)

    def rule(self, week: int) -> None:
        """Whoever is champion now decides from this week on, until the next turn."""
        from_now = self.decisions.times >= self.regime + week * WEEK
        self.scores[from_now] = _scores(self.champion(), self.decisions.frame.filter(from_now))

    def turn(self, week: int, trail: AuditTrail) -> None:
        """Retrain, gate, promote if the gate says so, and decide with whoever is champion now."""
        now = self.regime + week * WEEK
        watch = time.perf_counter()
        done = retrain(
            demo.project,
            MODEL.name,
            self.events,
            self.registry,
            folder=self.folder,
            as_of=now,
            why=Why("schedule", "Trained every 7 days."),
            now=now,
            recipe=Recipe(bootstrap=self.size.bootstrap),
        )
        trained = time.perf_counter() - watch
        verdict, held = self._gated(now, done.version, trail)
        self.turns.append(
            Turn(
                week,
                done.version.number,
                self._new(now),
                verdict,
                held,
                (trained, time.perf_counter() - watch - trained),
            )
        )
        later = self.decisions.times >= now
        scores = np.full(len(self.decisions), np.nan)
        scores[later] = _scores(self.champion(done.version.number), self.decisions.frame.filter(later))
        self.candidates[week] = scores
        self.rule(week)
        kept.save_so_far(self.folder, self.turns, self.scores, self.candidates)

    def _gated(self, now: int, candidate: Version, trail: AuditTrail) -> tuple[str, tuple[str, ...]]:
        """The verdict and the checks that held it; the first model becomes champion unasked."""
        first = not self.turns
        if CHAMPION in candidate.aliases:  # promoted, and killed before that was kept
            return candidate.tags[VERDICT], ()
        report = gate(
            demo.project,
            MODEL.name,
            self.events,
            self.registry,
            as_of=now,
            now=now,
            rules=Rules(bootstrap=self.size.bootstrap),
        )
        if report.verdict == "promote" or first:
            office = Office(self.registry, trail, self.folder, "benchmark", now)
            promote(
                office, MODEL.name, CHALLENGER, force=first, why="all lives begin with it" if first else None
            )
        return report.verdict, tuple(f"{one.family} {one.name}" for one in report.checks if one.holds)

    def _new(self, now: int) -> tuple[int, int]:
        """Outcomes of the new regime that are known by now, and positives among them."""
        known = (self.decisions.times >= self.regime) & (self.decisions.times <= now - self.decisions.gap)
        return int(known.sum()), int(self.decisions.y[known].sum())


def _scores(scoring: Scoring, frame: pl.DataFrame) -> Float64:
    if not len(frame):
        return np.empty(0)
    return scoring.scorer.score(scoring.artifact.inputs.matrix(frame))


def _nightly(scoring: Scoring, events: Mapping[str, Batch], decisions: TrainingSet) -> Float64:
    """The first model as a nightly batch has it: on what was known at four in the morning."""
    night = last_night(decisions.times)
    spine = Spine(decisions.frame.select(MODEL.keys), night, night, pl.DataFrame())
    order = np.argsort(night, kind="stable")
    found = _scores(scoring, features(MODEL, events, _at(spine, order)))
    scores = np.empty(len(found))
    scores[order] = found
    return scores


def _at(spine: Spine, order: npt.NDArray[np.intp]) -> Spine:
    return Spine(spine.keys[order], spine.time[order], spine.known[order], spine.observed)


def batch(lender: Lender, name: str) -> Batch:
    """The events of one stream in the order of their arrival."""
    stream = next(view.stream for view in MODEL.features if view.stream.name == name)
    order = np.argsort(lender.arrival[name], kind="stable")
    frame = lender.events[name].select(list(stream.schema)).cast(pl.Schema(stream.schema))[order]
    happened = frame[stream.time].to_physical().to_numpy()
    return Batch(name, np.arange(len(frame)), lender.arrival[name][order], happened, frame)
