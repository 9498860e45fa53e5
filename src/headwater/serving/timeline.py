"""An entity's score after each of its events, with what moved it: by replay, a page at a time.

::

    event      payment      payment          salary      (late) payment
    score        0.08  ───►   0.31   ───►     0.12   ───►    0.14
    moved by            spent_7d +0.18   balance -0.15   spent_30d +0.02     contributions, after less before

Each entry is the refresh that ``live`` made of that event, to the bit. Between two events features move too,
for windows go on; that is part of what moved the later one. Called by ``apps``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.policy import Policy
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView
from headwater.engine.keys import entity_keys
from headwater.log.protocol import EventLog
from headwater.serving.frontier import Frontiers, newest_of, refreshing
from headwater.serving.rederive import Asked, events_of, rederive
from headwater.serving.scoring import Float64, Scoring

MOST = 3  # inputs named with an event


@dataclass(frozen=True, slots=True)
class Moved:
    """An input that moved a score.

    Attributes:
        feature: its name.
        before, after: its value: a number, a category, or None.
        change: its contribution to the score, after less before, in the scorer's space.
    """

    feature: str
    before: float | str | None
    after: float | str | None
    change: float


@dataclass(frozen=True, slots=True)
class Moment:
    """The score after an event.

    Attributes:
        offset, stream, arrival, event_time: the event; times in microseconds UTC.
        late: how long before its entity's newest event it happened, in microseconds; 0 if it was in order.
        keys: key column to key.
        time: as of when the score is: the newest event time of the entity.
        score: after the event.
        band: by the policy, if there is one.
        before: the score after the event before; None for the first.
        moved: the inputs whose contributions changed most since then, the strongest first.
    """

    offset: int
    stream: str
    arrival: int
    event_time: int
    late: int
    keys: Mapping[str, Any]
    time: int
    score: float
    band: str | None
    before: float | None
    moved: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of moments, and what to ask for the next one after; None if this was the last."""

    moments: tuple[Moment, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class _Event:
    offset: int
    stream: str
    arrival: int
    time: int
    newest: int
    late: int
    keys: Mapping[str, Any]
    request: Mapping[str, Any]


def timeline(
    scoring: Scoring,
    views: Sequence[FeatureView],
    entity: Any,
    log: EventLog,
    *,
    policy: Policy | None = None,
    after: int | None = None,
    limit: int = 50,
    newest: bool = False,
    stop: int | None = None,
) -> Timeline:
    """The scores of an entity after each of its events.

    Args:
        scoring: the model.
        views: of the whole project: an event of any of them is news of its key.
        entity: the key of the model's first view.
        log: the events.
        policy: for the bands.
        after: the offset of the last moment of the page before; None for the first page.
        limit: how many moments at most.
        newest: the newest first; ``after`` then leads to older ones.
        stop: events before this offset; None for all that the log holds now.

    Raises:
        DataError: the entity is no key of its stream.
    """
    events = _events(scoring, views, entity, log, stop)
    places = [p for p, event in enumerate(events) if _behind(event.offset, after, newest=newest)]
    chosen = places[::-1][:limit] if newest else places[:limit]
    if not chosen:
        return Timeline((), None)
    first, last = max(min(chosen) - 1, 0), max(chosen)
    asked = [Asked(e.keys, e.newest, e.offset, e.request) for e in events[first : last + 1]]
    X = rederive(scoring, asked, log)
    scores = [scoring.score(x) for x in X]
    moved = [scoring.contributions(x)[0] for x in X]
    moments = []
    for place in chosen:
        now, event = place - first, events[place]
        known = place > 0
        moments.append(
            Moment(
                offset=event.offset,
                stream=event.stream,
                arrival=event.arrival,
                event_time=event.time,
                late=event.late,
                keys=event.keys,
                time=event.newest,
                score=scores[now],
                band=None if policy is None else policy.band(scores[now]),
                before=scores[now - 1] if known else None,
                moved=_moved(scoring, X[now - 1 : now + 1], moved[now] - moved[now - 1]) if known else (),
            )
        )
    return Timeline(tuple(moments), moments[-1].offset if len(places) > len(chosen) else None)


def _behind(offset: int, after: int | None, *, newest: bool) -> bool:
    return after is None or (offset < after if newest else offset > after)


def _moved(scoring: Scoring, X: Float64, change: Float64) -> tuple[Moved, ...]:
    inputs = scoring.artifact.inputs

    def value(name: str, x: float) -> float | str | None:
        if name in inputs.categories:
            return inputs.text(name, x)
        return None if math.isnan(x) else x

    strongest = [place for place in np.argsort(-np.abs(change), kind="stable").tolist() if change[place] != 0]
    return tuple(
        Moved(name, value(name, float(X[0, place])), value(name, float(X[1, place])), float(change[place]))
        for place in strongest[:MOST]
        for name in (scoring.names[place],)
    )


def _events(
    scoring: Scoring, views: Sequence[FeatureView], entity: Any, log: EventLog, stop: int | None
) -> list[_Event]:
    """The events that refresh the entity, in the order of the log."""
    model = scoring.model
    streams = {view.stream.name: view.stream for view in (*views, *model.features)}
    telling = [streams[name] for name in sorted(refreshing(model))]
    seen = Frontiers([*views, *model.features])
    end = log.end() if stop is None else stop
    if not telling:
        return []
    key = entity_keys([entity], telling[0].schema[model.entity], model.entity)

    def gathered(which: Sequence[Stream], wanted: Mapping[str, pl.Series]) -> dict[str, Batch]:
        found = {}
        for stream in which:
            own = {column: keys for column, keys in wanted.items() if column in stream.schema}
            read = [name for name in dict.fromkeys((*model.keys, *model.request)) if name in stream.schema]
            parts = list(events_of(log, stream, own, read, stop=end)) if own else []
            if parts:
                found[stream.name] = _joined(parts)
        return found

    mine = gathered(telling, {model.entity: key})
    wanted = {column: pl.concat([b.frame[column] for b in mine.values()]) for column in model.keys if mine}
    others = [streams[name] for name in sorted({name for name, _ in seen.feeds})]
    if len(model.keys) == 1:  # at hand, but for streams whose events refresh nothing
        others = [stream for stream in others if stream not in telling]
        batches = mine | gathered(others, wanted)
    else:
        batches = gathered([*dict.fromkeys([*others, *telling])], wanted)
    before = seen.take(list(batches.values()))
    found: list[_Event] = []
    for stream in telling:
        if stream.name in batches:
            known = newest_of(model, before[stream.name])
            found += _of_stream(model.keys, model.request, batches[stream.name], known, model.entity, key)
    return sorted(found, key=lambda event: event.offset)


def _of_stream(
    keys: Sequence[str], request: Sequence[str], batch: Batch, before: Any, entity: str, key: pl.Series
) -> list[_Event]:
    rows = (batch.frame[entity] == key[0]).fill_null(value=False).to_numpy()
    found = []
    for row in np.flatnonzero(rows).tolist():
        values = batch.frame.row(row, named=True)
        time, newest = int(batch.time[row]), int(before[row])
        found.append(
            _Event(
                offset=int(batch.offset[row]),
                stream=batch.stream,
                arrival=int(batch.arrival[row]),
                time=time,
                newest=max(time, newest),
                late=max(newest - time, 0),
                keys={name: values[name] for name in keys},
                request={name: values[name] for name in request},
            )
        )
    return found


def _joined(parts: Sequence[Batch]) -> Batch:
    return Batch(
        parts[0].stream,
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.arrival for part in parts]),
        np.concatenate([part.time for part in parts]),
        pl.concat([part.frame for part in parts]),
    )
