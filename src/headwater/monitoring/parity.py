"""Parity, live: served vectors are derived again from the log, and every bit must be the same.

A sampler takes some of what is served into a bounded queue, which costs serving next to nothing; an edge
calls :meth:`ParitySampler.check` now and then, which derives all that waits with one pass over the log for
each model (``serving.rederive``). A mismatch is an alarm and keeps its cause. Called by ``apps``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from headwater.log.protocol import EventLog
from headwater.serving.live import Scored
from headwater.serving.rederive import Asked, Step, rederive
from headwater.serving.scoring import Float64, Scoring

ROOM = 1_000  # vectors that wait for a check
KEPT = 100  # mismatches that are kept whole


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A served vector that the log does not give, or a score that its vector does not give.

    Attributes:
        model, keys, time, offset: what was served, as of when and where; microseconds UTC.
        feature: the first input that differs; ``score`` where only the score does.
        served, derived: its value as it was served and as the log gives it; None is null.
        bits: both as hexadecimal int64.
        features: all inputs that differ.
    """

    model: str
    keys: Mapping[str, Any]
    time: int
    offset: int
    feature: str
    served: float | None
    derived: float | None
    bits: tuple[str, str]
    features: tuple[str, ...]

    def words(self) -> str:
        """The cause as one sentence, without the entity's key."""
        count = len(self.features)
        more = f", and {count - 1} more" if count > 1 else ""
        return (
            f"{self.model} at log offset {self.offset}: {self.feature} was served as {self.served!r}"
            f" ({self.bits[0]}), the log gives {self.derived!r} ({self.bits[1]}){more}."
        )


@dataclass(frozen=True, slots=True)
class ParityReport:
    """What a check found.

    Attributes:
        compared: vectors in this check.
        mismatches: those of them that differ.
        total_compared, total_mismatches: since the sampler was made.
        dropped: sampled vectors that found no room since then.
        waiting: vectors that still wait.
        causes: the mismatches of this check that are kept whole.
    """

    compared: int
    mismatches: int
    total_compared: int
    total_mismatches: int
    dropped: int
    waiting: int
    causes: tuple[Mismatch, ...]


class ParitySampler:
    """Compares a share of what is served. :meth:`observe` is for any thread, :meth:`check` for one at a time.

    Args:
        log: what everything served rests on.
        scorings: the models that are served.
        rate: which share is taken, from 0 to 1: of 0.01 every hundredth.
        room: how many may wait; what comes on top is dropped and counted.
        kept: how many mismatches are kept whole, the newest.
    """

    def __init__(
        self,
        log: EventLog,
        scorings: Iterable[Scoring],
        *,
        rate: float = 0.01,
        room: int = ROOM,
        kept: int = KEPT,
    ) -> None:
        self._log = log
        self._scorings = {scoring.model.name: scoring for scoring in scorings}
        self._rate = min(max(rate, 0.0), 1.0)
        self._room = room
        self._credit = 0.0
        self._waiting: deque[tuple[Scored, Scoring]] = deque()
        self._kept: deque[Mismatch] = deque(maxlen=kept)
        self._compared = self._mismatches = self._dropped = 0
        self._lock = Lock()

    @property
    def kept(self) -> tuple[Mismatch, ...]:
        """The newest mismatches, the oldest first."""
        with self._lock:
            return tuple(self._kept)

    def serve(self, scorings: Iterable[Scoring]) -> None:
        """From now on these models are served. What waits is compared with the model that served it."""
        with self._lock:
            self._scorings = {scoring.model.name: scoring for scoring in scorings}

    def observe(self, scored: Scored, scoring: Scoring | None = None) -> bool:
        """Something was served; whether it was taken.

        Args:
            scored: what was served. Its vector must not change afterwards.
            scoring: the version that served it, where versions are being exchanged; else the one known.
        """
        with self._lock:
            self._credit += self._rate
            if self._credit < 1.0:
                return False
            self._credit -= 1.0
            known = scoring or self._scorings.get(scored.model)
            if known is None or len(self._waiting) >= self._room:
                self._dropped += 1
                return False
            self._waiting.append((scored, known))
            return True

    @property
    def waiting(self) -> int:
        """How many vectors wait for a check."""
        return len(self._waiting)

    def check(self, limit: int | None = None, *, step: Step | None = None) -> ParityReport:
        """Derive what waits from the log, and compare.

        Args:
            limit: how many at most, the oldest first; None for all.
            step: called now and then; may wait, and may raise to stop: what waited, waits still.

        Raises:
            LogError: the log cannot be read; what waited, waits still.
        """
        with self._lock:
            count = len(self._waiting) if limit is None else min(limit, len(self._waiting))
            taken = [self._waiting[place] for place in range(count)]
        found = [mismatch for group in _by_scoring(taken) for mismatch in _compare(self._log, *group, step)]
        with self._lock:
            for _ in taken:
                self._waiting.popleft()
            self._compared += count
            self._mismatches += len(found)
            self._kept.extend(found)
            return ParityReport(
                compared=count,
                mismatches=len(found),
                total_compared=self._compared,
                total_mismatches=self._mismatches,
                dropped=self._dropped,
                waiting=len(self._waiting),
                causes=tuple(found[-(self._kept.maxlen or 0) :]),
            )


def _by_scoring(taken: Sequence[tuple[Scored, Scoring]]) -> list[tuple[Scoring, list[Scored]]]:
    groups: dict[int, tuple[Scoring, list[Scored]]] = {}
    for scored, scoring in taken:
        groups.setdefault(id(scoring), (scoring, []))[1].append(scored)
    return list(groups.values())


def _compare(log: EventLog, scoring: Scoring, served: Sequence[Scored], step: Step | None) -> list[Mismatch]:
    asked = [Asked(one.keys, one.time, one.offset, one.request) for one in served]
    X = rederive(scoring, asked, log, step=step)
    found = (_difference(scoring, one, x) for one, x in zip(served, X, strict=True))
    return [mismatch for mismatch in found if mismatch is not None]


def _difference(scoring: Scoring, served: Scored, x: Float64) -> Mismatch | None:
    facts = served.model, served.keys, served.time, served.offset
    apart = np.flatnonzero(served.x.view(np.int64) != x.view(np.int64)).tolist()
    if apart:
        first = apart[0]
        then, now = float(served.x[first]), float(x[first])
        names = tuple(scoring.names[place] for place in apart)
        return Mismatch(*facts, names[0], _shown(then), _shown(now), _bits((then, now)), names)
    score = scoring.score(x)
    if score.hex() != served.score.hex():
        return Mismatch(*facts, "score", served.score, score, _bits((served.score, score)), ("score",))
    return None


def _shown(value: float) -> float | None:
    return None if np.isnan(value) else value


def _bits(pair: tuple[float, float]) -> tuple[str, str]:
    before, after = np.array(pair, dtype=np.float64).view(np.uint64).tolist()
    return f"{before:016x}", f"{after:016x}"
