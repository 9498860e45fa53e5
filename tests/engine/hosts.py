"""The hosts: the same case, run in every way in which the engine can be driven. See ``conftest.py``.

``Oracle`` is the slow truth and imports nothing of the engine. The others differ in how they cut the log
into batches and in what happens between two batches: nothing, reads, or a restart from a snapshot; or
they go through ``hw.asof``. Whatever they do, they must all give the same answers.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

import headwater as hw
from headwater.engine.image import Holder, images
from headwater.engine.run import Engine
from headwater.engine.single import Single
from tests.engine.cases import Ask, Case, Row, Sketch, log, micros, view
from tests.oracle.naive import Event as Seen
from tests.oracle.naive import Truth, truth


class Host(ABC):
    """Runs cases. ``line`` and ``after_each`` are for tests of a single feature, drawn by hand."""

    label: str

    @abstractmethod
    def answers(self, case: Case) -> list[Row]:
        """For each question the features of all views: what had arrived by then, as of then."""

    @abstractmethod
    def emissions(self, case: Case) -> list[Row]:
        """For each event the features of its key in all views of its stream, just after it."""

    def rows(
        self, features: Mapping[str, hw.Aggregate], events: Iterable[Sketch], times: Sequence[float]
    ) -> list[Row]:
        """Ada's features at each of the times, in seconds."""
        asks = [Ask(micros(time), {"who": "ada"}) for time in times]
        return self.answers(Case([view(features)], log(events), asks))

    def line(self, feature: hw.Aggregate, events: Iterable[Sketch], times: Sequence[float]) -> list[Any]:
        """Ada's value of one feature at each of the times, in seconds."""
        return [only(row) for row in self.rows({"x": feature}, events, times)]

    def after_each(self, feature: hw.Aggregate, events: Iterable[Sketch]) -> list[Any]:
        """The value of one feature just after each event."""
        return [only(row) for row in self.emissions(Case([view({"x": feature})], log(events)))]


class Oracle(Host):
    """The slow truth."""

    label = "oracle"

    def answers(self, case: Case) -> list[Row]:
        return [bare(row) for row in self.true_answers(case)]

    def emissions(self, case: Case) -> list[Row]:
        return [bare(row) for row in self.true_emissions(case)]

    def true_answers(self, case: Case) -> list[dict[str, Truth]]:
        """The answers, with the slack that each is allowed."""
        seen = Sight(case)
        return [
            seen.features(case.views, ask.keys, ask.time, case.arrived(ask.time) - 1) for ask in case.asks
        ]

    def true_emissions(self, case: Case, places: Iterable[int] | None = None) -> list[dict[str, Truth]]:
        """The emissions (or those at some places of the log), with the slack that each is allowed."""
        seen, emitted = Sight(case), []
        for place in range(len(case.log)) if places is None else places:
            event, row = case.log[place], dict[str, Truth]()
            for own in (each for each in case.views if each.stream is event.stream):
                newest = max(
                    earlier.time
                    for earlier in case.log[: place + 1]
                    if earlier.stream is event.stream and earlier.row[own.key] == event.row[own.key]
                )
                row |= seen.features([own], event.row, newest, place)
            emitted.append(row)
        return emitted


class Sight:
    """The events of a case as the oracle takes them: the aggregated value, and what ``where`` says."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.events = {
            output.name: self._events(own, output.aggregate) for own in case.views for output in own.outputs
        }

    def features(
        self, views: Sequence[hw.FeatureView], keys: Mapping[str, Any], t: int, o: int
    ) -> dict[str, Truth]:
        """The features of these keys as of (``t``, ``o``)."""
        return {
            output.name: truth(
                output.aggregate.op,
                self.events[output.name].get(keys[own.key], []),
                t,
                o,
                over=output.over,
                delay=output.aggregate.delay,
                half_life=output.aggregate.half_life,
                q=output.aggregate.q,
            )
            for own in views
            for output in own.outputs
        }

    def _events(self, own: hw.FeatureView, aggregate: hw.Aggregate) -> dict[object, list[Seen]]:
        frame = self.case.frame(own.stream)
        always = [True] * len(frame)
        values = always if aggregate.column is None else column(frame, aggregate.column)
        matches = always if aggregate.where is None else column(frame, aggregate.where)
        by_key: dict[object, list[Seen]] = {}
        places = self.case.places.get(own.stream.name, [])
        for place, value, match in zip(places, values, matches, strict=True):
            event = self.case.log[place]
            by_key.setdefault(event.row[own.key], []).append(Seen(event.time, place, value, match))
        return by_key


def column(frame: pl.DataFrame, expression: pl.Expr) -> list[Any]:
    """A row-level expression, row by row."""
    return frame.select(expression.alias("value"))["value"].to_list() if len(frame) else []


class Fed(Host):
    """An engine that is fed batch by batch. Here: event by event, with nothing in between."""

    label = "event by event"

    def cuts(self, case: Case) -> Iterable[int]:
        """Where to cut the log."""
        return range(len(case.log))

    def between(self, engine: Engine, _case: Case, _place: int) -> Engine:
        """What happens after each batch, before place ``_place`` of the log."""
        return engine

    def answers(self, case: Case) -> list[Row]:
        engine, fed = Engine(list(case.views)), 0
        found: dict[int, Row] = {}
        for i, ask in sorted(enumerate(case.asks), key=lambda pair: case.arrived(pair[1].time)):
            engine, _ = self.feed(engine, case, fed, case.arrived(ask.time))
            fed = case.arrived(ask.time)
            found[i] = read(engine, case, ask)
        return [found[i] for i in range(len(case.asks))]

    def emissions(self, case: Case) -> list[Row]:
        return self.feed(Engine(list(case.views)), case, 0, len(case.log), emit=True)[1]

    def feed(
        self, engine: Engine, case: Case, start: int, stop: int, *, emit: bool = False
    ) -> tuple[Engine, list[Row]]:
        """The engine after that part of the log, and what it emitted."""
        emitted: list[Row] = []
        for place, batch in case.batches(start, stop, self.cuts(case)):
            out = engine.apply(batch, emit=emit)
            if emit:
                emitted += emission(case, batch.stream, len(batch), out)
            engine = self.between(engine, case, place)
        return engine, emitted


class OneBatch(Fed):
    """As few batches as there can be: for each question, a new engine takes in all that it needs at once."""

    label = "one batch"

    def cuts(self, _case: Case) -> Iterable[int]:
        return ()

    def answers(self, case: Case) -> list[Row]:
        places = {case.arrived(ask.time) for ask in case.asks}
        engines = {place: self.feed(Engine(list(case.views)), case, 0, place)[0] for place in places}
        return [read(engines[case.arrived(ask.time)], case, ask) for ask in case.asks]


class RandomCuts(Fed):
    """Batches of any size: three events on average, more if the log is long."""

    label = "random cuts"

    def cuts(self, case: Case) -> Iterable[int]:
        dice = random.Random(len(case.log))
        size = max(3, len(case.log) // 40)
        return [place for place in range(len(case.log)) if dice.random() < 1 / size]


class Restarts(RandomCuts):
    """After every batch the engine dies, and another one goes on from its snapshot."""

    label = "restarts"

    def between(self, engine: Engine, case: Case, _place: int) -> Engine:
        return Engine.restore(list(case.views), engine.snapshot())


class LiveReads(Fed):
    """After every event all keys are read, now and at later times; none of it may leave a trace."""

    label = "live reads"

    def between(self, engine: Engine, case: Case, place: int) -> Engine:
        now = max(event.time for event in case.log[:place])
        for own in case.views:
            keys = {event.row[own.key] for event in case.log if event.stream is own.stream}
            for wait in (0, 1, micros(3), micros(10), micros(1000)):
                engine.read(own.name, list(keys), now + wait)
        return engine


class Singly(Host):
    """The short way for single events and single keys."""

    label = "singly"

    def answers(self, case: Case) -> list[Row]:
        single, fed = Single(Engine(list(case.views))), 0
        found: dict[int, Row] = {}
        for i, ask in sorted(enumerate(case.asks), key=lambda pair: case.arrived(pair[1].time)):
            self._feed(single, case, fed, case.arrived(ask.time))
            fed = case.arrived(ask.time)
            found[i] = self._row(single, case.views, ask.keys, ask.time)
        return [found[i] for i in range(len(case.asks))]

    def emissions(self, case: Case) -> list[Row]:
        emitted = []
        engine = Engine(list(case.views))
        single = Single(engine)
        for place, event in enumerate(case.log):
            self._feed(single, case, place, place + 1)
            row: Row = {}
            for own in (each for each in case.views if each.stream is event.stream):
                times = [e.time for e in case.log[: place + 1] if e.stream is own.stream]
                keys = [e.row[own.key] for e in case.log[: place + 1] if e.stream is own.stream]
                newest = max(t for t, key in zip(times, keys, strict=True) if key == event.row[own.key])
                row |= self._row(single, [own], event.row, newest)
            emitted.append(row)
        return emitted

    def _feed(self, single: Single, case: Case, start: int, stop: int) -> None:
        for _, batch in case.batches(start, stop, range(len(case.log))):
            single.apply(batch)

    def _row(
        self, single: Single, views: Sequence[hw.FeatureView], keys: Mapping[str, Any], time: int
    ) -> Row:
        return {
            output.name: value
            for own in views
            for output, value in zip(own.outputs, single.read(own.name, keys[own.key], time), strict=True)
        }


class Imaged(Fed):
    """Each key's state is taken out as bytes, and read where nothing else is held."""

    label = "imaged"

    def answers(self, case: Case) -> list[Row]:
        engine, fed = Engine(list(case.views)), 0
        holder = Holder(list(case.views))
        found: dict[int, Row] = {}
        for i, ask in sorted(enumerate(case.asks), key=lambda pair: case.arrived(pair[1].time)):
            engine, _ = self.feed(engine, case, fed, case.arrived(ask.time))
            fed = case.arrived(ask.time)
            for own in case.views:
                state, held = engine.states[own.name], holder.engine.states[own.name]
                key = pl.Series([ask.keys[own.key]], dtype=own.stream.schema[own.key])
                holder.learn({own.name: state.book.texts[len(held.book.texts) :]})
                holder.hold(own.name, key[0], images(state, key)[0])
            found[i] = read(holder.engine, case, ask)
        return [found[i] for i in range(len(case.asks))]

    def between(self, engine: Engine, case: Case, _place: int) -> Engine:
        """As long as there is one key, it moves into another engine, which goes on with it."""
        if any(state.keys.count > 1 for state in engine.states.values()):
            return engine
        holder = Holder(list(case.views))
        for own in case.views:
            state = engine.states[own.name]
            keys = state.keys.keys()
            holder.learn({own.name: state.book.texts})
            if len(keys):
                holder.hold(own.name, keys[0], images(state, keys)[0])
        holder.engine.offset = engine.offset
        return holder.engine


class AsOf(Host):
    """``hw.asof`` with a spine."""

    label = "asof"

    def answers(self, case: Case) -> list[Row]:
        events = {name: case.frame(stream) for name, stream in case.streams.items()}
        spine = case.spine()
        found = hw.asof(case.views, events=events, spine=spine, time="moment", arrival="arrived_at")
        assert found.select(spine.columns).equals(spine), "the spine's rows, in their order"
        return typed(found, case.views)

    def emissions(self, case: Case) -> list[Row]:
        """What the log held up to an event, asked at the newest time of that event's key."""
        return [self._emission(case, place) for place in range(len(case.log))]

    def _emission(self, case: Case, place: int) -> Row:
        event, row = case.log[place], Row()
        for own in (each for each in case.views if each.stream is event.stream):
            known = case.frame(own.stream, 0, place + 1).drop("arrived_at")
            newest = known.filter(pl.col(own.key) == event.row[own.key])[own.stream.time].max()
            spine = pl.DataFrame(
                {own.key: [event.row[own.key]], "moment": [newest]},
                schema={own.key: own.stream.schema[own.key], "moment": pl.Datetime("us", "UTC")},
            )
            row |= typed(hw.asof([own], events={own.stream.name: known}, spine=spine, time="moment"), [own])[
                0
            ]
        return row


def read(engine: Engine, case: Case, ask: Ask) -> Row:
    """One question, put to a live engine."""
    row: Row = {}
    for own in case.views:
        row |= typed(engine.read(own.name, [ask.keys[own.key]], ask.time), [own], exactly=True)[0]
    return row


def emission(case: Case, stream: str, size: int, out: Mapping[str, pl.DataFrame]) -> list[Row]:
    """What a batch emitted: a row for each event, over all views of its stream."""
    own = [each for each in case.views if each.stream.name == stream]
    assert {name for name, frame in out.items() if len(frame)} <= {each.name for each in own}
    rows: list[Row] = [{} for _ in range(size)]
    for each in own:
        more = typed(out[each.name], [each], exactly=True)
        rows = [left | right for left, right in zip(rows, more, strict=True)]
    return rows


def typed(frame: pl.DataFrame, views: Sequence[hw.FeatureView], *, exactly: bool = False) -> list[Row]:
    """The features' columns as rows, once their names and types are what the views declare."""
    declared = {output.name: output.dtype for own in views for output in own.outputs}
    found = frame if exactly else frame.select(list(declared))
    assert dict(found.schema) == declared
    return found.to_dicts()


def only(row: Row) -> Any:
    """The value of a row that has one column."""
    (value,) = row.values()
    return value


def bare(row: Mapping[str, Truth]) -> Row:
    """A row without its slack."""
    return {name: true.value for name, true in row.items()}


def differences(true: Sequence[Mapping[str, Truth]], found: Sequence[Row]) -> list[str]:
    """Where a host departs from the slow truth, in words; empty if nowhere."""
    assert len(true) == len(found)
    return [
        f"row {i}, {name}: {row.get(name)!r} instead of {want.value!r} (slack {want.slack:g})"
        for i, (wants, row) in enumerate(zip(true, found, strict=True))
        for name, want in wants.items()
        if not agrees(want, row.get(name))
    ]


def agrees(want: Truth, found: object) -> bool:
    """Whether an answer is the truth, to the bit or within the slack."""
    if isinstance(want.value, float) and isinstance(found, float):
        return found == want.value or abs(found - want.value) <= want.slack
    return type(found) is type(want.value) and found == want.value


def bits(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Rows for comparison to the bit: 0.0 is not -0.0."""
    return [
        {name: value.hex() if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]


ORACLE = Oracle()
ONE_BATCH, EVENT_BY_EVENT, ANY_CUTS = OneBatch(), Fed(), RandomCuts()
RESTARTS, LIVE_READS, SINGLY, IMAGED, ASOF = Restarts(), LiveReads(), Singly(), Imaged(), AsOf()
ENGINES: list[Host] = [ONE_BATCH, EVENT_BY_EVENT, ANY_CUTS, RESTARTS, LIVE_READS, SINGLY, IMAGED, ASOF]
