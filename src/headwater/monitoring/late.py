"""Fills the late ledger: finds late events along the log, and derives what each of them would have changed.

::

    log         ──a────────b────────────────c──►  by offset    c happened before b: late
    decisions         d1        d2                              d1: as of a time before c's, not concerned
                                                                d2: would have been different?
    d2 as of its time, at the offset before c's  ─┐
    d2 as of its time, at c's offset             ─┴─ the same bits?   score and band, then and now

The ledger is a function of the log, the decisions and the models, whoever fills it and in how many steps:
on line :meth:`LateWatch.settle` goes on from where the ledger stands, off line from the beginning. The log
is read once for each entity that was late, not for each late event (``serving.extract``). Called by ``apps``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.view import FeatureView
from headwater.log.protocol import EventLog
from headwater.serving.decide import Decider
from headwater.serving.extract import Extract
from headwater.serving.frontier import Frontiers, newest_of, refreshing
from headwater.serving.rederive import Asked, Step, features, reach, rederive
from headwater.serving.replay import Deciders
from headwater.serving.scoring import Float64, Scoring
from headwater.store.decision import Decision
from headwater.store.decisions import Record
from headwater.store.late import LateEvent, LateLedger, Reached, Touched
from headwater.store.protocol import Decisions

STRETCH = 1 << 18  # offsets that are looked through at a time
TOGETHER = 512  # late events, or pairs of one and a decision, that are derived at once
PAGE = 256  # decisions that are read at a time
FOLLOW = 1 << 16  # offsets at a time, to catch up with the newest event of each key


@dataclass(frozen=True, slots=True)
class Settled:
    """What a round of :meth:`LateWatch.settle` did: events looked through, late ones, decisions touched."""

    events: int
    late: int
    decisions: int


@dataclass(frozen=True, slots=True)
class _Found:
    """A late event of one model, before it is known what it moved."""

    event: LateEvent
    newest: int
    request: Mapping[str, Any]
    scoring: Scoring


class LateWatch:
    """Keeps a late ledger up to date. For one thread at a time.

    Args:
        log: the events.
        decisions: what was decided.
        ledger: to fill.
        scorings: the models, in the versions that serve now.
        views: of the whole project: an event of any of them is news of its key.
        deciders: each decision's own model and policy, where they are at hand.
        step: called now and then in :meth:`settle`; may raise to stop: what the ledger holds by then stays,
            and the next call goes on from there.
        extract: the events of entities that were late before, if somebody else holds some, too.
    """

    def __init__(
        self,
        log: EventLog,
        decisions: Decisions,
        ledger: LateLedger,
        scorings: Sequence[Scoring],
        views: Sequence[FeatureView],
        deciders: Deciders,
        step: Step = lambda: None,
        extract: Extract | None = None,
    ) -> None:
        self._step = step
        self._log = log
        self._decisions = decisions
        self._ledger = ledger
        self._scorings = {scoring.model.name: scoring for scoring in scorings}
        own = [view for scoring in scorings for view in scoring.model.features]
        self._views = [*views, *own]
        self._streams = sorted({view.stream.name for view in self._views})
        self._deciders = deciders
        self._frontiers = Frontiers(self._views)
        self._at = 0
        self._extract = extract or Extract(log)

    def behind(self) -> int:
        """How many events of the log were not looked through yet."""
        return self._log.end() - self._ledger.reached().offset

    def settle(self, *, stop: int | None = None, stretch: int = STRETCH) -> Settled:
        """Bring the ledger up to the end of the log and of the decisions.

        Args:
            stop: only events before this offset; None for all.
            stretch: offsets that are looked through, and kept, at a time.

        Raises:
            DataError: a decision lacks a key or request column of its model.
            StoreError: the ledger or the decisions cannot be used. What was written before stays.
        """
        end = self._log.end() if stop is None else min(stop, self._log.end())
        head = self._decisions.head().number
        start = self._ledger.reached()
        total = Settled(0, 0, 0)
        more = self._of_new_decisions(start, head)
        at = Reached(start.offset, max(head, start.decisions))
        if not self._ledger.write(start, at, more=more):
            return total
        total = Settled(0, 0, len(more))
        self._follow(start.offset)
        while at.offset < end:
            following = Reached(min(at.offset + stretch, end), at.decisions)
            events = self._in_stretch(at.offset, following.offset, at.decisions)
            if not self._ledger.write(at, following, events):
                self._at = -1  # somebody else went on: what was seen of the keys is to be seen anew
                return total
            touched = sum(len(event.decisions) for event in events)
            seen = following.offset - at.offset
            total = Settled(total.events + seen, total.late + len(events), total.decisions + touched)
            at = following
        return total

    # --- Finding late events -----------------------------------------------------------------------

    def _follow(self, offset: int) -> None:
        """Know the newest event of every key as of an offset."""
        if self._at != offset:
            if self._at < 0 or self._at > offset:
                self._frontiers, self._at = Frontiers(self._views), 0
            while self._at < offset:
                self._step()
                following = min(self._at + FOLLOW, offset)
                self._frontiers.take(self._batches(self._at, following))
                self._at = following

    def _in_stretch(self, start: int, stop: int, last: int) -> list[LateEvent]:
        batches = self._batches(start, stop)
        self._at = -1  # until all of the stretch is taken in
        before = self._frontiers.take(batches)
        self._at = stop
        found: list[_Found] = []
        for batch in batches:
            for scoring in self._scorings.values():
                for each in _late(batch, before[batch.stream], scoring):
                    self._step()
                    found.append(each)
        found.sort(key=lambda each: (each.event.offset, each.event.model))
        self._extract.follow(stop)
        moved = self._moved(found)
        decisions = self._decisions_of(found, last)
        return [
            replace(each.event, moved=moved[place], decisions=tuple(decisions[place]))
            for place, each in enumerate(found)
        ]

    def _batches(self, start: int, stop: int) -> list[Batch]:
        """The events of a stretch, one batch for each stream."""
        parts: dict[str, list[Batch]] = {}
        for batch in self._log.scan(self._streams, start=start, stop=stop, by_stream=True):
            parts.setdefault(batch.stream, []).append(batch)
        return [_joined(some) for some in parts.values()]

    # --- What they moved -----------------------------------------------------------------------------

    def _moved(self, found: Sequence[_Found]) -> list[tuple[str, ...]]:
        """For each late event the inputs that differ before and after it, as of its entity's newest event."""
        moved: list[tuple[str, ...]] = [()] * len(found)
        groups: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
        for place, each in enumerate(found):
            event = each.event
            groups.setdefault((event.model, event.stream, tuple(event.keys)), []).append(place)
        for (model, stream, _), group in groups.items():
            for places in _parts(group):
                self._step()
                some = [found[place] for place in places]
                apart = self._apart(self._scorings[model], stream, some)
                for place, names in zip(places, apart, strict=True):
                    moved[place] = names
        return moved

    def _apart(self, scoring: Scoring, stream: str, found: Sequence[_Found]) -> list[tuple[str, ...]]:
        """The inputs that differ just before and at each event, as of the newest time of its entity."""
        asked = [
            Asked(each.event.keys, each.newest, offset, each.request)
            for each in found
            for offset in (each.event.offset - 1, each.event.offset)
        ]
        keys = found[0].event.keys
        if stream in refreshing(scoring.model) and len(keys) == len(scoring.model.keys):
            X = rederive(scoring, asked, self._extract, step=self._step)
            return [_differing(scoring, X[2 * n], X[2 * n + 1]) for n in range(len(found))]
        own = _on(scoring, stream, keys)  # the other keys are not known
        frame = features(own, asked, self._extract, step=self._step).frame
        before, after = frame.gather_every(2), frame.gather_every(2, 1)
        apart = {column.name: column.ne_missing(after[column.name]) for column in before.iter_columns()}
        return [tuple(name for name, differs in apart.items() if differs[n]) for n in range(len(found))]

    # --- Which decisions would have been different ----------------------------------------------------

    def _decisions_of(self, found: Sequence[_Found], last: int) -> list[list[Touched]]:
        """For each late event the decisions that would have been different."""
        of_event: list[list[Touched]] = [[] for _ in found]
        pairs: list[tuple[int, Record]] = []
        for place, each in enumerate(found):
            self._step()
            pairs += [(place, record) for record in self._missing(each.event, last)]
            if len(pairs) >= TOGETHER or place == len(found) - 1:
                touched = self._touched([(found[at].event, record) for at, record in pairs])
                for (at, _), one in zip(pairs, touched, strict=True):
                    if one is not None:
                        of_event[at].append(one)
                pairs = []
        return of_event

    def _missing(self, event: LateEvent, last: int) -> list[Record]:
        """Decisions that were made without the event although it had happened, as far as windows reach."""
        views = _on(self._scorings[event.model], event.stream, event.keys)
        span = reach(views)
        records: dict[int, Record] = {}
        for key in dict.fromkeys(view.key for view in views):
            for record in self._decisions.between(
                event.model,
                {key: event.keys[key]},
                before=event.offset,
                since=event.time,
                until=None if span is None else event.time + span,
                last=last,
            ):
                records[record.number] = record
        return [records[number] for number in sorted(records)]

    def _of_new_decisions(self, start: Reached, head: int) -> list[tuple[int, Touched]]:
        """Decisions that were recorded after the ledger had passed events that they rest not on."""
        pairs: list[tuple[int, LateEvent, Record]] = []
        for record in self._recorded(start.decisions, head):
            self._step()
            decision = record.decision
            if decision.model not in self._scorings or decision.offset >= start.offset - 1:
                continue
            facts = {"offset": decision.offset, "time": decision.time, "before": start.offset}
            known: dict[int, LateEvent] = {}
            for name, value in decision.keys.items():
                known |= dict(self._ledger.missed_by(decision.model, {name: value}, **facts))
            pairs += [
                (number, event, record)
                for number, event in sorted(known.items())
                if any(
                    event.keys[view.key] == decision.keys.get(view.key)
                    for view in _on(self._scorings[decision.model], event.stream, event.keys)
                )
            ]
        touched = self._touched([(event, record) for _, event, record in pairs])
        return [(pair[0], one) for pair, one in zip(pairs, touched, strict=True) if one is not None]

    def _recorded(self, after: int, head: int) -> Iterable[Record]:
        """The decisions behind a number and up to another, a few at a time."""
        while after < head:
            page = self._decisions.page(after=after, limit=min(PAGE, head - after))
            if not page:
                return
            yield from page
            after = page[-1].number

    def _touched(self, pairs: Sequence[tuple[LateEvent, Record]]) -> list[Touched | None]:
        """For each event and decision: what the event moved in it, and how it would have been decided."""
        groups: dict[tuple[str, str], list[int]] = {}
        deciders = [self._own(record.decision) for _, record in pairs]
        for place, (scoring, _) in enumerate(deciders):
            groups.setdefault((scoring.definition_hash, scoring.digest), []).append(place)
        found: list[Touched | None] = [None] * len(pairs)
        for places in [part for group in groups.values() for part in _parts(group)]:
            scoring = deciders[places[0]][0]
            asked = [one for place in places for one in _before_and_at(*pairs[place])]
            X = rederive(scoring, asked, self._extract, step=self._step)
            for n, place in enumerate(places):
                self._step()
                names = _differing(scoring, X[2 * n], X[2 * n + 1])
                if names:
                    found[place] = _touch(pairs[place][1], deciders[place][1], X[2 * n + 1], names)
        return found

    def _own(self, decision: Decision) -> tuple[Scoring, Decider | None]:
        """The model that the decision is derived with, and its own policy where both are at hand."""
        decider = self._deciders(decision)
        if decider is None:
            return self._scorings[decision.model], None
        return decider.scoring, decider


def _late(batch: Batch, before: Mapping[str, Any], scoring: Scoring) -> Iterable[_Found]:
    """The events of a batch that are late for a model."""
    model = scoring.model
    named = [key for key in model.keys if key in before]
    if not _on(scoring, batch.stream, named):
        return
    newest = newest_of(model, before)
    request = model.request if batch.stream in refreshing(model) else ()
    for row in np.flatnonzero(newest > batch.time).tolist():
        values = batch.frame.row(row, named=True)
        time = int(batch.time[row])
        keys = {key: values[key] for key in named if values[key] is not None}
        if not _on(scoring, batch.stream, keys):
            continue
        event = LateEvent(
            offset=int(batch.offset[row]),
            stream=batch.stream,
            arrival=int(batch.arrival[row]),
            time=time,
            late=int(newest[row]) - time,
            model=model.name,
            keys=keys,
            moved=(),
        )
        yield _Found(event, int(newest[row]), {name: values[name] for name in request}, scoring)


def _on(scoring: Scoring, stream: str, keys: Collection[str]) -> list[FeatureView]:
    """The model's views on a stream whose keys an event names."""
    return [view for view in scoring.model.features if view.stream.name == stream and view.key in keys]


def _parts(places: Sequence[int]) -> Iterable[Sequence[int]]:
    return (places[at : at + TOGETHER] for at in range(0, len(places), TOGETHER))


def _before_and_at(event: LateEvent, record: Record) -> tuple[Asked, Asked]:
    d = record.decision
    return (
        Asked(d.keys, d.time, event.offset - 1, d.request),
        Asked(d.keys, d.time, event.offset, d.request),
    )


def _differing(scoring: Scoring, before: Float64, after: Float64) -> tuple[str, ...]:
    apart = before.view(np.int64) != after.view(np.int64)
    return tuple(scoring.names[place] for place in np.flatnonzero(apart))


def _touch(record: Record, decider: Decider | None, x: Float64, names: tuple[str, ...]) -> Touched:
    then = record.decision.score, record.decision.band
    if decider is None:
        return Touched(record.number, then, None, names)
    score = decider.scoring.score(x)
    return Touched(record.number, then, (score, decider.policy.band(score)), names)


def _joined(parts: Sequence[Batch]) -> Batch:
    return Batch(
        parts[0].stream,
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.arrival for part in parts]),
        np.concatenate([part.time for part in parts]),
        pl.concat([part.frame for part in parts]),
    )
