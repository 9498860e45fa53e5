"""Reach: which events a view's readings can see at all; the others never enter the kernels.

::

    readings of a key                    t      t'
    (t - far, t - near]        (---------]
                                      (---------]
    in the reach of some        xxxxxxxxxxxxxxxx                    what happened in here ...
    known by some                               ]                   ... and had arrived by then

A value is a function of its window's contents, so what lies in no window may stay away without leaving a
trace in any bit. Bounds over all readings come first, because they cost next to nothing; then, among what
they leave, each key's own. A view since forever reaches back without end and is bounded by its newest
reading alone. Called by ``engine.asof``; what is seen goes on to ``engine.merge``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.expression import columns
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
class Reach:
    """How far back a view looks: asked at ``t`` it sees event times in ``(t - far, t - near]``.

    Both in microseconds; ``far`` is None for a view with a feature since forever.
    """

    near: int
    far: int | None

    @classmethod
    def of(cls, plan: ViewPlan) -> Reach:
        """The reach of all of a view's features together."""
        over, delay = plan.tables.cells[:, at.C_OVER], plan.tables.cells[:, at.C_DELAY]
        return cls(int(delay.min()), None if (over < 0).any() else int((delay + over).max()))


def seen(plan: ViewPlan, keys: KeyIndex, batch: Batch, readings: Readings) -> Seen:
    """The events of a batch that at least one reading may see.

    Args:
        plan: the compiled view.
        keys: numbers of the readings' keys.
        batch: all events of the view's stream.
        readings: what is asked.
    """
    reach = Reach.of(plan)
    near = within(reach, batch, readings)
    whole = batch.frame[near]
    ids = keys.number(whole[plan.view.key], add=False)
    wanted = columns(*(column.expression for column in plan.columns), *plan.conditions)
    frame = whole.select(wanted or [plan.view.key])
    prompt = batch.time is batch.arrival
    time = batch.time[near]
    found = Seen(ids, batch.offset[near], time if prompt else batch.arrival[near], time, frame)
    return _some(found, of_its_key(reach, found, readings, keys.count))


def within(reach: Reach, batch: Batch, readings: Readings) -> Places:
    """Where the events stand that lie in the reach of some reading, whatever their keys."""
    if not len(readings):
        return slice(0, 0)
    known = int(readings.known.max())
    newest = int(readings.time.max()) - reach.near
    oldest = at.NEVER if reach.far is None else int(readings.time.min()) - reach.far
    if batch.time is batch.arrival:  # every event arrived when it happened: the times ascend
        first, last = np.searchsorted(batch.time, [oldest, newest], side="right")
        return slice(int(first), int(last))
    arrived = int(np.searchsorted(batch.arrival, known, side="right"))
    time = batch.time[:arrived]
    return np.flatnonzero((time > oldest) & (time <= newest))


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
