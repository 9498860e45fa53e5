"""A case: some views, a log of events, and questions. What ``hosts`` run and ``strategies`` invent.

Times in tests are written in seconds (``at(10)``) and asked to the microsecond (``at(10 + US)``). An
event arrives when it happens, or, if it is late, together with the newest one before it; ``arrives=``
says otherwise.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.core.batch import Batch
from headwater.core.instant import span_text

US = 1e-6  # a microsecond, in the seconds of the tests
WHEN = pl.Datetime("us", "UTC")

payments = hw.Stream(
    "payments",
    schema={
        "who": pl.String,
        "shop": pl.Int64,
        "colour": pl.Enum(["red", "green", "blue"]),
        "online": pl.Boolean,
        "at": WHEN,
        "amount": pl.Float64,
        "wild": pl.Float64,
        "units": pl.Int64,
        "pieces": pl.Int32,
        "ratio": pl.Float32,
        "word": pl.String,
        "flag": pl.Boolean,
        "day": pl.Date,
    },
    time="at",
)
profiles = hw.Stream(
    "profiles", schema={"who": pl.String, "at": WHEN, "income": pl.Float64, "town": pl.String}, time="at"
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """An event: times in microseconds; ``row`` lacks the columns that are null."""

    stream: hw.Stream
    time: int
    arrival: int
    row: Mapping[str, Any]

    def __repr__(self) -> str:
        late = f" arrives {self.arrival}" if self.arrival != self.time else ""
        row = " ".join(f"{name}={value!r}" for name, value in self.row.items() if value is not None)
        return f"{self.stream.name} {self.time}{late}: {row}"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))  # what Hypothesis prints


@dataclass(frozen=True)
class Ask:
    """A question: the features of these keys at ``time``, knowing what has arrived by then."""

    time: int
    keys: Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """Views, the log in order of arrival (an event's place is its offset), and questions in any order."""

    views: Sequence[hw.FeatureView]
    log: Sequence[Event]
    asks: Sequence[Ask] = field(default=())

    def __repr__(self) -> str:
        """What a failing property test prints: enough to see it, and to write it down as a test."""
        views = [f"{own.name} of {own.stream.name} by {own.key}: {told(own)}" for own in self.views]
        lines = [*views, *(f"#{i} {event}" for i, event in enumerate(self.log)), *map(repr, self.asks)]
        return "\n".join(["Case", *(f"    {line}" for line in lines)])

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))

    @property
    def streams(self) -> dict[str, hw.Stream]:
        """The streams that the views read."""
        return {view.stream.name: view.stream for view in self.views}

    @cached_property
    def arrivals(self) -> list[int]:
        """When each event arrived."""
        return [event.arrival for event in self.log]

    def arrived(self, t: int) -> int:
        """How many events of the log have arrived by ``t``."""
        return bisect_right(self.arrivals, t)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """For each stream the places of its events in the log."""
        found: dict[str, list[int]] = {}
        for place, event in enumerate(self.log):
            found.setdefault(event.stream.name, []).append(place)
        return found

    @cached_property
    def frames(self) -> dict[str, pl.DataFrame]:
        """Each stream's events as a frame, with their arrival."""
        return {
            name: pl.DataFrame(
                [
                    {**event.row, event.stream.time: event.time, "arrived_at": event.arrival}
                    for event in map(self.log.__getitem__, places)
                ],
                schema={**self.log[places[0]].stream.schema, "arrived_at": WHEN},
            )
            for name, places in self.places.items()
        }

    def frame(self, stream: hw.Stream, start: int = 0, stop: int | None = None) -> pl.DataFrame:
        """The stream's events of that part of the log, with their arrival."""
        if stream.name not in self.frames:
            return pl.DataFrame(schema={**stream.schema, "arrived_at": WHEN})
        places = self.places[stream.name]
        end = len(places) if stop is None else bisect_left(places, stop)
        return self.frames[stream.name][bisect_left(places, start) : end]

    def batch(self, start: int, stop: int) -> Batch:
        """That part of the log, all of one stream. Offsets have gaps, as those of a shared log do."""
        events = self.log[start:stop]
        return Batch(
            stream=events[0].stream.name,
            offset=np.arange(start, stop, dtype=np.int64) * 3 + 7,
            arrival=np.array([event.arrival for event in events], dtype=np.int64),
            time=np.array([event.time for event in events], dtype=np.int64),
            frame=self.frame(events[0].stream, start, stop).drop("arrived_at"),
        )

    def batches(self, start: int, stop: int, cuts: Iterable[int] = ()) -> Iterator[tuple[int, Batch]]:
        """That part of the log, cut at ``cuts`` and where the stream changes; with the place after each."""
        turns = (i for i in range(start + 1, stop) if self.log[i].stream is not self.log[i - 1].stream)
        edges = sorted({start, stop, *turns, *(cut for cut in cuts if start < cut < stop)})
        for left, right in pairwise(edges):
            yield right, self.batch(left, right)

    def spine(self) -> pl.DataFrame:
        """The questions as a frame: a column for each key, and the time in ``moment``."""
        keys = {view.key: view.stream.schema[view.key] for view in self.views}
        rows = [{"moment": ask.time, **{key: ask.keys[key] for key in keys}} for ask in self.asks]
        return pl.DataFrame(rows, schema={**keys, "moment": WHEN})


def told(own: hw.FeatureView) -> str:
    """A view's features in a line."""
    return ", ".join(
        f"{name}={a.op}({a.column}, where={a.where}, over={[size and span_text(size) for size in a.over]}, "
        f"delay={a.delay}us, half_life={a.half_life}, q={a.q})"
        for name, a in own.features.items()
    )


def near(values: Iterable[Any]) -> list[Any]:
    """The values, of which the floats may be off by 1e-12 of their size; zeros not at all."""
    return [pytest.approx(v, rel=1e-12, abs=0) if isinstance(v, float) else v for v in values]


def micros(seconds: float) -> int:
    """Seconds as microseconds: ``micros(10 + US)`` is 10,000,001."""
    return round(seconds * 1_000_000)


@dataclass(frozen=True)
class Sketch:
    """An event as a test writes it down, before the log has given it an arrival."""

    stream: hw.Stream
    time: float
    arrives: float | None
    row: Mapping[str, Any]


def at(time: float, amount: float | None = None, *, arrives: float | None = None, **columns: Any) -> Sketch:
    """A payment by ``who="ada"``, at ``time`` in seconds; a column that is not named is null."""
    return Sketch(payments, time, arrives, {"who": "ada", "amount": amount, **columns})


def profile(time: float, *, arrives: float | None = None, **columns: Any) -> Sketch:
    """A profile of ``who="ada"``, at ``time`` in seconds."""
    return Sketch(profiles, time, arrives, {"who": "ada", **columns})


def log(sketches: Iterable[Sketch]) -> list[Event]:
    """The log that takes these in, in this order."""
    events: list[Event] = []
    for sketch in sketches:
        before = events[-1].arrival if events else micros(sketch.time)
        arrival = max(before, micros(sketch.time)) if sketch.arrives is None else micros(sketch.arrives)
        assert arrival >= before, "the log takes events in as they arrive"
        events.append(Event(sketch.stream, micros(sketch.time), arrival, sketch.row))
    return events


def view(
    features: Mapping[str, hw.Aggregate],
    *,
    name: str = "view",
    stream: hw.Stream = payments,
    key: str = "who",
) -> hw.FeatureView:
    """A view of the payments, by who pays."""
    return hw.FeatureView(name, stream=stream, key=key, features=features)
