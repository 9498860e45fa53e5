"""One sequence of events and readings, in the order in which they could be known.

::

    events of a key, by arrival      e0      e1   e2        e3          (e2 happened before e1: it is late)
    the spine's rows of the key          r0          r1  r2     r3      each sees what stands to its left

Called by ``engine.asof``; ``engine.state`` runs the sequence through the kernels.
"""

from __future__ import annotations

import numpy as np

from headwater.engine.block import Rows
from headwater.engine.kernels import layout as at
from headwater.engine.reach import Readings, Seen


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
    is_event = np.ones(len(events) + len(order), dtype=np.bool_)
    is_event[asked] = False
    came = np.flatnonzero(is_event)
    words = np.empty((4 + len(columns), len(is_event)), dtype=np.int64)  # one block: its pages come together
    ids, time, offset, emit = words[:4]
    ids[came], ids[asked] = events.ids, readings.ids[order]
    time[came], time[asked] = events.time, readings.time[order]
    offset[came], offset[asked] = events.offset, _newest(events.offset, arrived)
    emit[came], emit[asked] = -1, order
    for row, values in zip(words[4:], columns, strict=True):
        row[came], row[asked] = values, 0
    marks = np.zeros((len(flags), len(is_event)), dtype=np.uint8)
    marks[:, came] = flags
    return Rows(ids, time, offset, (~is_event).view(np.uint8), emit, words[4:], marks)


def _newest(offset: at.Int64, arrived: at.Int64) -> at.Int64:
    """The offset of the last of the events that had arrived, -1 for none."""
    return np.where(arrived > 0, offset[arrived - 1], -1) if len(offset) else np.full(len(arrived), -1)
