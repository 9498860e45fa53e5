"""The rounds of the monitors: what was served is derived again, and the late ledger follows the log.

::

    a round    parity: fresh scores that came, and decisions recorded since ──► parity ledger
               shadow: decisions recorded since, scored by the challenger ──► shadow ledger
               late:   events that the log got since, a stretch at a time   ──► late ledger

All state that matters is in the ledgers: a round that is cut short goes on where it was. Called by
``process``, over and over; by tests, once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from headwater.apps.monitors.served import FIGURES, SHADOW, scored_of
from headwater.apps.workers.message import Message
from headwater.core.errors import HeadwaterError
from headwater.definitions.view import FeatureView
from headwater.log.protocol import EventLog
from headwater.monitoring.late import LateWatch
from headwater.monitoring.parity import ParityWatch
from headwater.monitoring.shadow import Looked, ShadowWatch, added
from headwater.serving.extract import Extract
from headwater.serving.replay import Deciders
from headwater.serving.scoring import Scoring
from headwater.store.late import LateLedger
from headwater.store.parity import Mismatch, ParityLedger
from headwater.store.protocol import Decisions
from headwater.store.shadow import ShadowLedger

LOG = logging.getLogger("headwater.monitors")
RATE = 0.01  # of what is served, how much is derived again
STRETCH = (1 << 6, 1 << 16)  # offsets at a time, so that they take about as long as:
LONG = 0.5  # seconds of work
CHECKS = 4  # of a round, so that late events do not wait for a long queue of them

Versions = Callable[[str, str], Scoring | None]  # a model's version by its seal, where it is at hand


@dataclass(frozen=True)
class Served:
    """What is served, as the monitors need it.

    Attributes:
        views: of the whole project.
        scorings: model to the version that is served.
        deciders: each past decision's own model and policy, where they are at hand.
        version: any version of a model, by its seal.
        challengers: model to the version that waits for its chance, where it can be loaded.
    """

    views: Sequence[FeatureView]
    scorings: Mapping[str, Scoring]
    deciders: Deciders
    version: Versions
    challengers: Mapping[str, Scoring] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """Where the monitors stand.

    Attributes:
        late_events: rows of the late ledger.
        late_decisions: decisions that these would have changed, each counted with each.
        reached: how much of the log was looked through.
        compared, mismatches: served vectors that were derived again; those with other bits.
        gone: sampled ones whose model is not at hand any more, or that found no room.
        waiting: sampled ones that wait to be derived again.
    """

    late_events: int
    late_decisions: int
    reached: int
    compared: int
    mismatches: int
    gone: int
    waiting: int

    def message(self, serving: Message | None) -> Message:
        """For the server, with what it said that it serves."""
        return {"kind": FIGURES, **asdict(self), "serving": serving}

    @classmethod
    def of(cls, message: Message) -> Figures:
        """The inverse."""
        return cls(**{name: int(message[name]) for name in cls.__slots__})


class Rounds:
    """The monitors' work on one data folder. For one thread at a time.

    Args:
        log: open for reading.
        decisions: the records.
        late, parity: the ledgers.
        served: what is served.
        shadow: the ledger of what challengers would have said.
        rate: which share of the decisions is derived again.
        share: which share of them challengers score.
        step: called now and then; may raise to end a round.
        stopwatch: seconds of work.

    Attributes:
        unfinished: whether the last round left late events for the next one, which is to follow at once.
    """

    def __init__(
        self,
        log: EventLog,
        decisions: Decisions,
        late: LateLedger,
        parity: ParityLedger,
        served: Served,
        *,
        shadow: ShadowLedger,
        rate: float = RATE,
        share: float = 1.0,
        step: Callable[[], None] = lambda: None,
        stopwatch: Callable[[], float] = time.process_time,
    ) -> None:
        self._log = log
        self._served = served
        self._late, self._parity = late, parity
        self._step = step
        self._unknown = 0
        self._watch = stopwatch
        self._stretch = 1 << 12
        self.unfinished = False
        extract = Extract(log)
        scorings, deciders = list(served.scorings.values()), served.deciders
        self.watch = LateWatch(log, decisions, late, scorings, served.views, deciders, step, extract)
        self.sampler = ParityWatch(log, decisions, parity, deciders, rate=rate, step=step, extract=extract)
        self._shadow = ShadowWatch(
            decisions,
            shadow,
            served.challengers,
            deciders,
            extract,
            share=share,
            step=step,
            fault=_shadow_fault,
            champions=served.scorings,
        )
        self._shadowed = {name: Looked() for name in served.challengers}
        self._events, self._decisions = len(late), late.touched()

    def take(self, message: Message) -> None:
        """A fresh score that the server sent."""
        scoring = self._served.version(message["model"], message["digest"])
        if scoring is None:
            self._unknown += 1
            return
        try:
            scored = scored_of(message, scoring.model)
        except (HeadwaterError, KeyError, ValueError):
            self._unknown += 1
            return
        self.sampler.take(scored, scoring)

    def round(self) -> Figures:
        """Derive again what was sampled, and bring the late ledger up to the end of the log, or some way.

        Raises:
            HeadwaterError: the log, the records or a ledger cannot be used; the next round goes on.
        """
        for _ in range(CHECKS):
            more, mismatches = self.sampler.check()
            for mismatch in mismatches:
                _alarm(mismatch)
            if not more.compared or not self.sampler.waiting:
                break
        self._settle()
        for _ in range(CHECKS):
            looked = self._shadow.look()
            self._shadowed = added(self._shadowed, looked)
            if not self._shadow.waiting:
                break
        self.unfinished = self.unfinished or self._shadow.waiting > 0
        return self.figures()

    def shadow(self) -> Message:
        """What challengers did since these rounds began, for the server."""
        models = {name: asdict(one) for name, one in self._shadowed.items()}
        return {"kind": SHADOW, "models": models, "waiting": self._shadow.waiting}

    def figures(self) -> Figures:
        """Where they stand."""
        stands = self._parity.stands()
        return Figures(
            self._events,
            self._decisions,
            self._late.reached().offset,
            stands.compared,
            stands.mismatches,
            stands.gone + self._unknown + self.sampler.dropped,
            self.sampler.waiting,
        )

    def _settle(self) -> None:
        """Stretch by stretch, as far as the log reaches now, or until the others are to have a turn."""
        end, began = self._log.end(), self._watch()
        while True:
            since = self._watch()
            stop = min(self._late.reached().offset + self._stretch, end)
            settled = self.watch.settle(stop=stop)
            self._events += settled.late
            self._decisions += settled.decisions
            took = self._watch() - since
            if took > LONG:
                self._stretch = max(STRETCH[0], self._stretch // 2)
            elif took < LONG / 4 and settled.events >= self._stretch:
                self._stretch = min(STRETCH[1], self._stretch * 2)
            self.unfinished = stop < end and settled.events > 0
            if not self.unfinished or self._watch() - began > 2 * LONG:
                return
            self._step()


def _shadow_fault(model: str, error: BaseException) -> None:
    """By its type alone: its text may quote a value."""
    LOG.warning("a challenger failed to score", extra={"model": model, "error": type(error).__name__})


def _alarm(mismatch: Mismatch) -> None:
    """One line of the log, without keys and values."""
    facts = {
        "source": mismatch.source,
        "model": mismatch.model,
        "offset": mismatch.offset,
        "features": mismatch.features,
        "cause": mismatch.cause,
    }
    LOG.error("parity mismatch", extra=facts)
