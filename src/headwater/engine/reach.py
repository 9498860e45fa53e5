"""Reach: which events a view's readings can see at all; the others never enter the kernels.

::

    readings of a key                    t      t'
    (t - far, t - near]        (---------]
                                      (---------]
    in the reach of some        xxxxxxxxxxxxxxxx                    what happened in here ...
    known by some                               ]                   ... and had arrived by then

A value is a function of its window's contents, so what lies in no window may stay away without leaving a
trace in any bit. The bounds of all readings together come first, because they cost next to nothing; then,
among what they leave, each key's own. A view since forever reaches back without end and is bounded by its
newest reading alone. Called by ``engine.batches`` and ``engine.asof``; what is seen goes on to
``engine.merge``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.expression import columns
from headwater.definitions.view import FeatureOutput, FeatureView
from headwater.engine.kernels import decay
from headwater.engine.kernels import layout as at
from headwater.engine.keys import KeyIndex
from headwater.engine.plan import ViewPlan

Places = at.Int64 | slice


@dataclass(frozen=True, slots=True)
class Readings:
    """Questions to one view, in the spine's order; int64, shape (n,) each.

    Attributes:
        ids: the numbers of the keys.
        time: as of when, microseconds.
        known: each sees what had arrived by then, microseconds; not before ``time``.
    """

    ids: at.Int64
    time: at.Int64
    known: at.Int64

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Seen:
    """The events that count, by arrival: as a ``Batch``, with only the columns that the view reads.

    ``ids`` are the numbers of their keys.
    """

    ids: at.Int64
    offset: at.Int64
    arrival: at.Int64
    time: at.Int64
    frame: pl.DataFrame

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What happened in ``(oldest, newest]`` and had arrived by ``known``; microseconds."""

    oldest: int
    newest: int
    known: int

    def places(self, time: at.Int64, arrival: at.Int64) -> Places:
        """The places within the bounds, ascending, of events that ascend by arrival."""
        if time is arrival:  # every event arrived when it happened: so the times ascend, too
            last = min(self.newest, self.known)
            first, end = np.searchsorted(time, [self.oldest, last], side="right")
            return slice(int(first), max(int(first), int(end)))
        end = np.searchsorted(arrival, self.known, side="right")
        return np.flatnonzero((time[:end] > self.oldest) & (time[:end] <= self.newest))

    def mask(self, time: at.Int64, arrival: at.Int64) -> npt.NDArray[np.bool_]:
        """Which events, in any order, lie within the bounds."""
        inside: npt.NDArray[np.bool_] = (time > self.oldest) & (time <= self.newest)
        return inside if time is arrival else inside & (arrival <= self.known)


NOTHING = Bounds(0, 0, at.NEVER)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back features look: asked at ``t`` they see event times in ``(t - far, t - near]``.

    Both in microseconds; ``far`` is None if one of them looks back since forever.
    """

    near: int
    far: int | None

    @classmethod
    def of(cls, views: Sequence[FeatureView]) -> Reach:
        """The reach of all features of some views together."""
        outputs = [output for view in views for output in view.outputs]
        far = [_far(output) for output in outputs]
        return cls(
            min(output.aggregate.delay for output in outputs),
            None if None in far else max(end for end in far if end is not None),
        )

    def bounds(self, time: at.Int64, known: at.Int64) -> Bounds:
        """What the readings at these times can see together."""
        if not len(time):
            return NOTHING
        oldest = at.NEVER if self.far is None else int(time.min()) - self.far
        return Bounds(oldest, int(time.max()) - self.near, int(known.max()))


def _far(output: FeatureOutput) -> int | None:
    """Where a feature's window begins, microseconds ago; a decayed term ends by itself."""
    own, over = output.aggregate, output.over
    if own.half_life is not None:
        fades = decay.CUTOFF * own.half_life
        over = fades if over is None else min(over, fades)
    return None if over is None else own.delay + over


def seen(plan: ViewPlan, keys: KeyIndex, batch: Batch, readings: Readings) -> Seen:
    """The events of a batch that at least one reading may see.

    Args:
        plan: the compiled view.
        keys: numbers of the readings' keys.
        batch: all events of the view's stream, or at least those within its bounds.
        readings: what is asked.
    """
    reach = Reach.of([plan.view])
    near = reach.bounds(readings.time, readings.known).places(batch.time, batch.arrival)
    whole = batch.frame[near]
    ids = keys.number(whole[plan.view.key], add=False)
    read = columns(*(column.expression for column in plan.columns), *plan.conditions)
    time = batch.time[near]
    arrival = time if batch.time is batch.arrival else batch.arrival[near]
    frame = whole.select(read or [plan.view.key])
    events = Seen(ids, batch.offset[near], arrival, time, frame)
    return _some(events, of_its_key(reach, events, readings, keys.count))


def of_its_key(reach: Reach, events: Seen, readings: Readings, keys: int) -> npt.NDArray[np.bool_]:
    """Which events lie in the reach of a reading of their own key; shape (events,).

    An unknown key has the number -1: it finds the last of the bounds, which lets nothing through.
    """
    newest = np.full(keys + 1, at.NEVER)
    np.maximum.at(newest, readings.ids, readings.time - reach.near)
    mine: npt.NDArray[np.bool_] = events.time <= newest[events.ids]
    if reach.far is not None:
        oldest = np.full(keys + 1, -at.NEVER)
        np.minimum.at(oldest, readings.ids, readings.time - reach.far)
        mine &= events.time > oldest[events.ids]
    if events.arrival is not events.time:
        known = np.full(keys + 1, at.NEVER)
        np.maximum.at(known, readings.ids, readings.known)
        mine &= events.arrival <= known[events.ids]
    return mine


def _some(events: Seen, mine: npt.NDArray[np.bool_]) -> Seen:
    if mine.all():
        return events
    places = np.flatnonzero(mine)
    time = events.time[places]
    return Seen(
        events.ids[places],
        events.offset[places],
        time if events.arrival is events.time else events.arrival[places],
        time,
        events.frame.filter(pl.Series(mine)),
    )
