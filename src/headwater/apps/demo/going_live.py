"""The last months as if live: every event appended, durable, and its account's score made fresh.

Events come in the order in which a live log would have received them, late ones included. An account that
enters the worst band gets a decision with its reasons, which is recorded. Called by ``run``.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.apps.demo.lender.simulation import Lender
from headwater.definitions.stream import Stream
from headwater.serving.decide import Decider
from headwater.serving.live import Live, Refresh
from headwater.store.decisions import DecisionStore, Record

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

_TELL = 500  # events between two signs of life


@dataclass(frozen=True)
class LiveEvents:
    """The events that have not arrived yet, in the order of arrival.

    Attributes:
        frames: stream to its events.
        stream: which of the streams each event is of, shape (n,).
        row: its row in that stream's frame, shape (n,).
        arrival: int64 microseconds, shape (n,).
    """

    frames: tuple[tuple[str, pl.DataFrame], ...]
    stream: Int64
    row: Int64
    arrival: Int64

    def __len__(self) -> int:
        return len(self.arrival)


@dataclass(frozen=True)
class LiveRun:
    """What the live part gave, one row per event.

    Attributes:
        account, time, arrival: whose score was refreshed, as of when, and when the event came.
        x: feature vectors, float64, shape (n, f).
        score: float64, shape (n,).
        late: by how much the event was late, microseconds.
        moved: inputs that a late event changed.
        appended, refreshed: nanoseconds, shape (n,): until on disk; from then until the score was fresh.
        records: the decisions taken.
        seconds: wall time of the whole part, decisions included.
        first: the first event's offset; the others follow without a gap.
    """

    account: Int64
    time: Int64
    arrival: Int64
    x: Float64
    score: Float64
    late: Int64
    moved: Int64
    appended: Int64
    refreshed: Int64
    records: tuple[Record, ...]
    seconds: float
    first: int

    def row(self, record: Record) -> int:
        """The event that led to a decision."""
        return record.decision.offset - self.first


def live_events(lender: Lender, streams: Sequence[Stream], start: int) -> LiveEvents:
    """The lender's events that arrive from ``start`` on."""
    frames, parts = [], []
    for number, stream in enumerate(streams):
        arrival = lender.arrival[stream.name]
        rows = np.flatnonzero(arrival >= start)
        frames.append((stream.name, lender.events[stream.name][rows]))
        parts.append((np.full(len(rows), number), np.arange(len(rows)), arrival[rows]))
    which, row, arrival = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(arrival, kind="stable")
    return LiveEvents(tuple(frames), which[order], row[order], arrival[order])


def go_live(
    live: Live, events: LiveEvents, decider: Decider, store: DecisionStore, tell: Callable[[int], None]
) -> LiveRun:
    """Append and refresh event by event.

    Args:
        live: caught up with the log.
        events: what is to come.
        decider: takes a decision when an account enters the policy's last band.
        store: keeps it.
        tell: called now and then with the number of events done.
    """
    taken = _Taken(len(events), len(decider.scoring.names))
    worst = list(decider.policy.bands)[-1]
    bands: dict[int, str] = {}
    records: list[Record] = []
    first = live.offset + 1
    with _settled():
        started = time.perf_counter()
        for i in range(len(events)):
            name, frame = events.frames[events.stream[i]]
            row, arrival = int(events.row[i]), int(events.arrival[i])
            (refresh,) = live.append(name, frame.slice(row, 1), arrival=arrival)[1]
            taken.put(i, refresh)
            scored = refresh.scored
            account, band = scored.keys["account_id"], decider.policy.band(scored.score)
            if band == worst and bands.get(account) != worst:
                records += store.append([decider.decide(scored, arrival)])
            bands[account] = band
            if i % _TELL == 0:
                tell(i)
        seconds = time.perf_counter() - started
    return LiveRun(**taken.columns(), records=tuple(records), seconds=seconds, first=first)


class _Taken:
    """The refreshes as columns: sixty thousand objects would keep the garbage collector busy."""

    def __init__(self, events: int, inputs: int) -> None:
        self.x, self.score = np.empty((events, inputs)), np.empty(events)
        self.whole = {name: np.zeros(events, np.int64) for name in _WHOLE}

    def put(self, i: int, refresh: Refresh) -> None:
        scored = refresh.scored
        self.x[i], self.score[i] = scored.x, scored.score
        noted = (
            scored.keys["account_id"],
            scored.time,
            refresh.arrival,
            refresh.late,
            len(refresh.moved),
            refresh.accepted - refresh.sent,
            refresh.fresh - refresh.accepted,
        )
        for column, value in zip(self.whole.values(), noted, strict=True):
            column[i] = value

    def columns(self) -> dict[str, Any]:
        return {"x": self.x, "score": self.score, **self.whole}


_WHOLE = ("account", "time", "arrival", "late", "moved", "appended", "refreshed")


@contextmanager
def _settled() -> Iterator[None]:
    """What is there already need not be looked through again and again by the garbage collector."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
