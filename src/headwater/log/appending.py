"""From frames to segments: what one transaction writes, worked out before it begins.

Frames of one stream are judged together, offsets are given out over all streams, and each stream gets one
segment per window. Pure but for the reads that judge duplicates. Called by ``embedded``; an event that comes
alone takes the short way, ``single``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Int64
from headwater.core.errors import DataError, Problem
from headwater.log.catalog import Version
from headwater.log.duplicates import Verdict
from headwater.log.format import Columns
from headwater.log.ids import NewIds
from headwater.log.plan import EMPTY, Head, Plan, end_of
from headwater.log.protocol import Append, Outcome, Receipt, Refusal
from headwater.log.segments import WINDOW, Events, Segment, make

Judge = Callable[[Version, pl.DataFrame], Verdict | None]  # None: the stream has no ids


@dataclass(slots=True)
class _Share:
    """The part of one stream: its appends, joined."""

    version: Version
    places: list[int]  # which appends
    frame: pl.DataFrame
    verdict: Verdict | None
    new: npt.NDArray[np.bool_] | None  # None: all
    offset: Int64  # shape (rows,), -1 where not new


def plan(
    appends: Sequence[Append],
    versions: Mapping[str, Version],
    heads: Mapping[str, Head],
    judge: Judge,
    *,
    merge: bool,
) -> Plan:
    """Judge, place and encode.

    Raises:
        DataError: a frame is not what its stream takes, or arrivals go back.
    """
    DataError.raise_if(
        problem for append in appends for problem in _problems(append, versions[append.stream])
    )
    shares = _shares(appends, versions, judge)
    rows = _rows_by_append(appends, shares)
    arrivals = [_arrival(append, new) for append, new in zip(appends, rows, strict=True)]
    offsets = _give_out(arrivals, heads, merge=merge)
    segments: list[Segment] = []
    new_heads, ids = {}, {}
    for stream, share in shares.items():
        arrival = _joined([arrivals[place] for place in share.places])
        offset = _joined([offsets[place] for place in share.places])
        if share.new is None:
            share.offset = offset
        else:
            share.offset[share.new] = offset
        if len(offset):
            if share.verdict is not None:
                keys = share.verdict.keys if share.new is None else share.verdict.keys[share.new]
                ids[stream] = NewIds(keys, offset, fresh=share.new is None)
            held = heads.get(stream, EMPTY)
            written = _segments(stream, share, offset, arrival, held)
            segments += written
            new_heads[stream] = Head(
                held.events + len(offset), written[-1].last, written[-1].arrival_max, written[-1].chain
            )
    return Plan(tuple(segments), new_heads, ids, _receipts(appends, shares))


def _problems(append: Append, version: Version) -> list[Problem]:
    schema, frame = version.schema, append.frame
    where = f"stream {append.stream!r}"
    if frame.columns != schema.names or frame.dtypes != schema.dtypes:
        return [
            Problem(
                "the frame does not have the stream's columns and types",
                expected=", ".join(map(str, schema.columns)),
                got=", ".join(f"{name}: {dtype}" for name, dtype in frame.schema.items()),
                where=where,
                do="send events through the door (core.schema.check_frame), which casts what can be cast",
            )
        ]
    problems = [
        Problem(
            f"the {role} column {name!r} holds nulls",
            expected=f"a value in every row: it is the event's {role}",
            got=f"{frame[name].null_count()} nulls",
            where=where,
            do="leave these events out",
        )
        for role, name in (("id", schema.id), ("time", schema.time))
        if name is not None and frame[name].null_count()
    ]
    if not isinstance(append.arrival, int | np.integer) and append.arrival.shape != (frame.height,):
        problems.append(
            Problem(
                "there is not one arrival per event",
                expected=f"{frame.height} arrivals, or a single instant",
                got=f"an array of shape {append.arrival.shape}",
                where=where,
                do="give one arrival per row",
            )
        )
    return problems


def _shares(appends: Sequence[Append], versions: Mapping[str, Version], judge: Judge) -> dict[str, _Share]:
    by_stream: dict[str, list[int]] = {}
    for place, append in enumerate(appends):
        by_stream.setdefault(append.stream, []).append(place)
    shares = {}
    for stream, places in by_stream.items():
        frames = [appends[place].frame for place in places]
        frame = frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=True)
        verdict = judge(versions[stream], frame) if frame.height else None
        new = None
        if verdict is not None and verdict.outcome is not None:
            new = verdict.outcome == Outcome.NEW
        shares[stream] = _Share(versions[stream], places, frame, verdict, new, np.full(frame.height, -1))
    return shares


def _rows_by_append(
    appends: Sequence[Append], shares: Mapping[str, _Share]
) -> list[npt.NDArray[np.bool_] | None]:
    """Per append which of its rows are new; None for all."""
    rows: list[npt.NDArray[np.bool_] | None] = [None] * len(appends)
    for share in shares.values():
        if share.new is not None:
            sizes = [appends[place].frame.height for place in share.places]
            for place, part in zip(share.places, np.split(share.new, np.cumsum(sizes)[:-1]), strict=True):
                rows[place] = part
    return rows


def _arrival(append: Append, new: npt.NDArray[np.bool_] | None) -> Int64:
    if isinstance(append.arrival, int | np.integer):
        return np.full(append.frame.height if new is None else int(new.sum()), append.arrival, np.int64)
    arrival = append.arrival.astype(np.int64, copy=False)
    return arrival if new is None else arrival[new]


def _give_out(arrivals: Sequence[Int64], heads: Mapping[str, Head], *, merge: bool) -> list[Int64]:
    """Offsets of the new events of each append: one append after the other, or merged by arrival."""
    last, latest = end_of(heads)
    base = last + 1
    every = _joined(arrivals)
    offsets = np.arange(base, base + len(every))
    placed = every
    if merge:
        order = np.argsort(every, kind="stable")
        placed = every[order]
        offsets[order] = np.arange(base, base + len(every))
    if len(placed):
        _check_ascending(placed, latest)
    if len(arrivals) == 1:
        return [offsets]
    return np.split(offsets, np.cumsum([len(arrival) for arrival in arrivals])[:-1])


def _joined(arrays: Sequence[Int64]) -> Int64:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _check_ascending(arrival: Int64, latest: int) -> None:
    back: list[int] = (np.flatnonzero(arrival[1:] < arrival[:-1]) + 1).tolist() if len(arrival) > 1 else []
    if int(arrival[0]) < latest:
        back = [0]
    if back:
        before = latest if back[0] == 0 else int(arrival[back[0] - 1])
        raise DataError.of(
            "arrival goes back",
            expected=f"an arrival not before {before}, that of the event before it",
            got=str(int(arrival[back[0]])),
            where=f"new event {back[0]} of the append",
            do="append in the order of arrival; after a clock stepped back, use the log's arrival()",
        )


def _segments(stream: str, share: _Share, offset: Int64, arrival: Int64, head: Head) -> list[Segment]:
    codec = share.version.codec
    frame = share.frame if share.new is None else share.frame.filter(share.new)
    if len(share.places) > 1 and (offset[1:] < offset[:-1]).any():  # merged from several appends
        order = np.argsort(offset)
        frame, offset, arrival = frame[order], offset[order], arrival[order]
    columns: Columns = codec.columns(frame)
    events = Events(columns, offset, arrival, codec.time(columns))
    segments: list[Segment] = []
    chain, start, n = head.chain, 0, len(events)
    while start < n:
        boundary = (int(offset[start]) // WINDOW + 1) * WINDOW
        stop = n if int(offset[-1]) < boundary else int(np.searchsorted(offset, boundary))
        part = events if stop - start == n else events[start:stop]
        segments.append(make(stream, share.version.number, codec, part, chain))
        chain, start = segments[-1].chain, stop
    return segments


def _receipts(appends: Sequence[Append], shares: Mapping[str, _Share]) -> list[Receipt]:
    receipts: dict[int, Receipt] = {}
    for share in shares.values():
        start = 0
        for place in share.places:
            stop = start + appends[place].frame.height
            receipts[place] = _receipt(share, start, stop)
            start = stop
    return [receipts[place] for place in range(len(appends))]


def _receipt(share: _Share, start: int, stop: int) -> Receipt:
    offset = share.offset[start:stop]
    n = stop - start
    if share.verdict is None or share.verdict.outcome is None:
        first, last = (int(offset.min()), int(offset.max())) if n else (None, None)
        return Receipt(n, 0, 0, first, last, offset, np.full(n, -1), np.zeros(n, np.int8))
    verdict = share.verdict
    outcome = share.verdict.outcome[start:stop]
    twin = verdict.twin[start:stop]
    known = np.where(twin >= 0, share.offset[twin], verdict.known[start:stop])
    known[outcome != Outcome.DUPLICATE] = -1
    new = offset[offset >= 0]
    return Receipt(
        accepted=len(new),
        duplicates=int((outcome == Outcome.DUPLICATE).sum()),
        refused=int((outcome == Outcome.REFUSED).sum()),
        first=int(new.min()) if len(new) else None,
        last=int(new.max()) if len(new) else None,
        offset=offset,
        known=known,
        outcome=outcome,
        refusals=tuple(
            Refusal(refusal.row - start, refusal.reason, refusal.message)
            for refusal in verdict.refusals
            if start <= refusal.row < stop
        ),
    )
