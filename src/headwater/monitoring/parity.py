"""Parity, live: served vectors are derived again from the log, and every bit must be the same.

::

    fresh scores ── a share of them, as they were served ──► take ─┐
    decisions ──── every so-manieth record ────────────────────────┴► check ──► the parity ledger
                                                                      (own events, ``serving.extract``)

Nothing of the live state takes part: the vectors come from the log alone, read for the entities in question.
A mismatch is an alarm; it keeps its cause. Called by ``apps.monitors``, in a process of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from headwater.core.errors import HeadwaterError, LogError, StoreError
from headwater.log.protocol import EventLog
from headwater.serving.decide import Decider
from headwater.serving.extract import Extract
from headwater.serving.live import Scored
from headwater.serving.rederive import Asked, Step, rederive
from headwater.serving.replay import Deciders
from headwater.serving.scoring import Float64, Scoring
from headwater.store.chain import GENESIS, link
from headwater.store.decisions import Record
from headwater.store.parity import Compared, Mismatch, ParityLedger
from headwater.store.protocol import Decisions

ROOM = 1_000  # fresh scores that wait for a check
TOGETHER = 256  # vectors that are derived at once

STATE = "the state that served it and the log do not agree: see `headwater log verify`, and report it"
RECORD = "the record was changed after it was written: see `headwater audit verify`"
SCORE = "the model no longer gives this score to the same vector"
POLICY = "the policy no longer gives this band to the same score"


class Share:
    """Takes every so-manieth of what comes.

    Args:
        rate: from 0 to 1.

    Example:
        >>> share = Share(0.25)
        >>> [share.takes() for _ in range(5)]
        [False, False, False, True, False]
        >>> [number for number in range(1, 10) if share.has(number)]
        [4, 8]
    """

    def __init__(self, rate: float) -> None:
        self.rate = min(max(rate, 0.0), 1.0)
        self._credit = 0.0

    def takes(self) -> bool:
        """Whether the next one is taken."""
        self._credit += self.rate
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True

    def has(self, number: int) -> bool:
        """Whether the one of a number, from 1 on, is among those that are taken."""
        return int(number * self.rate) > int((number - 1) * self.rate)

    def among(self, after: int, last: int) -> Iterator[int]:
        """The numbers behind one and up to another that are taken."""
        return (number for number in range(after + 1, last + 1) if self.has(number))


@dataclass(frozen=True)
class _Served:
    """Something that was served, with what it takes to serve it again."""

    scored: Scored
    scoring: Scoring
    record: Record | None = None
    decider: Decider | None = None

    @property
    def source(self) -> str:
        return "fresh score" if self.record is None else f"decision {self.record.id}"


class ParityWatch:
    """Derives a share of what is served again. For one thread at a time.

    Args:
        log: what everything served rests on.
        decisions: the records.
        ledger: where the outcome is kept.
        deciders: each decision's own model and policy, where they are at hand.
        rate: which share of the decisions is taken, from 0 to 1.
        room: how many fresh scores may wait; what comes on top is left out and counted.
        step: called now and then; may raise to stop: what was not compared waits still.
        extract: the events of some entities, if somebody else holds them, too.

    Attributes:
        dropped: fresh scores that found no room.
    """

    def __init__(
        self,
        log: EventLog,
        decisions: Decisions,
        ledger: ParityLedger,
        deciders: Deciders,
        *,
        rate: float = 0.01,
        room: int = ROOM,
        step: Step | None = None,
        extract: Extract | None = None,
    ) -> None:
        self._extract = extract or Extract(log)
        self._decisions = decisions
        self._ledger = ledger
        self._deciders = deciders
        self._share = Share(rate)
        self._step = step
        self._room = room
        self._waiting: deque[_Served] = deque()
        self.dropped = 0

    def take(self, scored: Scored, scoring: Scoring) -> bool:
        """A fresh score to derive again; whether there was room for it.

        Args:
            scored: what was served. Its vector must not change afterwards.
            scoring: the version that served it.
        """
        if len(self._waiting) >= self._room:
            self.dropped += 1
            return False
        self._waiting.append(_Served(scored, scoring))
        return True

    @property
    def waiting(self) -> int:
        """How many vectors wait to be derived again: fresh scores, and sampled decisions."""
        stands, last = self._ledger.stands().decisions, self._decisions.head().number
        rate = self._share.rate
        return len(self._waiting) + int(last * rate) - int(stands * rate)

    def check(self, limit: int = TOGETHER) -> tuple[Compared, tuple[Mismatch, ...]]:
        """Derive what waits, the oldest first, and note the outcome in the ledger.

        Args:
            limit: how many at most of the fresh scores, and of the decisions.

        Returns:
            What this check adds to the ledger.

        Raises:
            LogError: the log cannot be read; what waited, waits still.
            StoreError: the records or the ledger cannot be used.
        """
        fresh = list(islice(self._waiting, limit))
        decided, unreadable, stands, gone = self._decided(limit)
        served = [*fresh, *decided]
        found = [mismatch for group in _by_scoring(served) for mismatch in self._compared(*group)]
        found += unreadable
        more = Compared(stands, len(served) + len(unreadable), len(found), gone)
        if served or stands > self._ledger.stands().decisions:
            self._ledger.add(more, found)
        for _ in fresh:
            self._waiting.popleft()
        return more, tuple(found)

    def _decided(self, limit: int) -> tuple[list[_Served], list[Mismatch], int, int]:
        """Sampled decisions; those that are no records any more; the last that was looked at; those gone."""
        stands, last = self._ledger.stands().decisions, self._decisions.head().number
        numbers = list(islice(self._share.among(stands, last), limit))
        reached = max(last, stands) if len(numbers) < limit else numbers[-1]
        found: list[_Served] = []
        unreadable: list[Mismatch] = []
        gone = 0
        for number in numbers:
            record = self._record(number)
            if record is None:
                unreadable.append(_unreadable(number))
                continue
            decider = self._deciders(record.decision)
            if decider is None:
                gone += 1
            else:
                found.append(_Served(_scored(record, decider.scoring), decider.scoring, record, decider))
        return found, unreadable, reached, gone

    def _record(self, number: int) -> Record | None:
        """A record; None if it is missing, or is none any more."""
        try:
            return self._decisions.find(number)
        except (ValueError, TypeError, KeyError):  # somebody wrote into the file
            return None

    def _compared(self, scoring: Scoring, served: Sequence[_Served]) -> list[Mismatch]:
        if self._step is not None:
            self._step()
        try:
            X = rederive(scoring, [_asked(one) for one in served], self._extract, step=self._step)
        except (LogError, StoreError):
            raise
        except HeadwaterError as error:
            if len(served) > 1:  # one that cannot be derived does not keep the others
                return [mismatch for one in served for mismatch in self._compared(scoring, [one])]
            return [_underivable(served[0], error)]
        found = (self._difference(one, x) for one, x in zip(served, X, strict=True))
        return [mismatch for mismatch in found if mismatch is not None]

    def _difference(self, one: _Served, x: Float64) -> Mismatch | None:
        scored, scoring = one.scored, one.scoring
        apart = np.flatnonzero(scored.x.view(np.int64) != x.view(np.int64)).tolist()
        if apart:
            first = apart[0]
            names = tuple(scoring.names[place] for place in apart)
            return self._mismatch(one, names, (float(scored.x[first]), float(x[first])), STATE)
        score = scoring.score(x)
        if score.hex() != scored.score.hex():
            return self._mismatch(one, ("score",), (scored.score, score), SCORE)
        if one.record is not None and one.decider is not None:
            band = one.decider.policy.band(score)
            if band != one.record.decision.band:
                return self._mismatch(one, ("band",), (scored.score, score), POLICY)
        return None

    def _mismatch(
        self, one: _Served, names: tuple[str, ...], pair: tuple[float, float], cause: str
    ) -> Mismatch:
        scored = one.scored
        if one.record is not None and not self._whole(one.record):
            cause = RECORD
        return Mismatch(
            source=one.source,
            model=scored.model,
            keys=scored.keys,
            time=scored.time,
            offset=scored.offset,
            feature=names[0],
            served=_shown(pair[0]),
            derived=_shown(pair[1]),
            bits=_bits(pair),
            features=names,
            cause=cause,
        )

    def _whole(self, record: Record) -> bool:
        """Whether a record is the one that was written: its link fits."""
        before = GENESIS if record.number == 1 else self._decisions.get(record.number - 1).chain
        return link(before, record.decision.canonical()) == record.chain


def _scored(record: Record, scoring: Scoring) -> Scored:
    """What a decision was made on, as its record tells."""
    d = record.decision
    values = [d.features.get(name) for name in scoring.names]
    x = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return Scored(d.model, d.keys, d.time, d.offset, d.request, x, d.score)


def _asked(one: _Served) -> Asked:
    return Asked(one.scored.keys, one.scored.time, one.scored.offset, one.scored.request)


def _by_scoring(served: Iterable[_Served]) -> list[tuple[Scoring, list[_Served]]]:
    groups: dict[tuple[str, str], tuple[Scoring, list[_Served]]] = {}
    for one in served:
        version = one.scoring.definition_hash, one.scoring.digest
        groups.setdefault(version, (one.scoring, []))[1].append(one)
    return list(groups.values())


def _underivable(one: _Served, error: HeadwaterError) -> Mismatch:
    scored = one.scored
    facts = scored.model, scored.keys, scored.time, scored.offset
    return Mismatch(one.source, *facts, "record", None, None, ("", ""), (), error.problems[0].what)


def _unreadable(number: int) -> Mismatch:
    cause = "the record is not there, or is none any more"
    return Mismatch(f"decision d{number}", "", {}, 0, -1, "record", None, None, ("", ""), (), cause)


def _shown(value: float) -> float | None:
    return None if np.isnan(value) else value


def _bits(pair: tuple[float, float]) -> tuple[str, str]:
    before, after = np.array(pair, dtype=np.float64).view(np.uint64).tolist()
    return f"{before:016x}", f"{after:016x}"
