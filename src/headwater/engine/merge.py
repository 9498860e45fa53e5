"""One sequence of events and readings, in the order in which they could be known.

::

    events of a key, by arrival      e0      e1   e2        e3          (e2 happened before e1: it is late)
    the spine's rows of the key          r0          r1  r2     r3      each sees what stands to its left

Called by ``engine.asof``; ``engine.state`` runs the sequence through the kernels.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.kernels import layout as at
from headwater.engine.reach import Readings, Seen
from headwater.engine.state import Rows


def merged(events: Seen, columns: at.Int64, flags: at.UInt8, readings: Readings) -> Rows:
    """Events in order of arrival with the readings between them, each behind what it may see.

    Args:
        events: m events.
        columns: their values, shape (columns, m).
        flags: their conditions, shape (flags, m).
        readings: n questions; the output's row of each is its place here.
    """
    order = np.argsort(readings.known, kind="stable")
    arrived = np.searchsorted(events.arrival, readings.known[order], side="right")
    asked = arrived + np.arange(len(order))
    total = len(events) + len(order)
    came = np.flatnonzero(_others(asked, total))

    def merge(of_events: np.ndarray, of_readings: at.Int64 | int) -> np.ndarray:
        both = np.empty((*of_events.shape[:-1], total), dtype=of_events.dtype)
        both[..., came] = of_events
        both[..., asked] = of_readings
        return both

    kind, emit = np.zeros(total, dtype=np.uint8), np.full(total, -1)
    kind[asked], emit[asked] = 1, order
    return Rows(
        ids=merge(events.ids, readings.ids[order]),
        time=merge(events.time, readings.time[order]),
        offset=merge(events.offset, _newest(events.offset, arrived)),
        kind=kind,
        emit=emit,
        columns=merge(columns, 0),
        flags=merge(flags, 0),
    )


def _newest(offset: at.Int64, arrived: at.Int64) -> at.Int64:
    """The offset of the last of the events that had arrived, -1 for none."""
    if not len(offset):
        return np.full(len(arrived), -1)
    return np.where(arrived > 0, offset[arrived - 1], -1)


def _others(places: at.Int64, total: int) -> np.ndarray:
    others = np.ones(total, dtype=np.bool_)
    others[places] = False
    return others
