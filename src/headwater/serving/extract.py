"""An extract of the log: the events of some entities, read once and then kept up with the log.

::

    log        a b a c a d b e a │ c a       of a and c: first asked for at │
    one pass   ■     ■ ■       ■ │           one pass for both
    the tail                     │ ■ ■       later: only what came since

Whoever derives the same entities again and again, as the late ledger and the parity sampler do, reads the
log once for each of them, and not once for each question. Answers as ``rederive.events_of`` does, so that the
bits are the same. Memory is bounded: what is held is let go of when it becomes too much. One thread at a
time. Made by ``apps.monitors``, by ``monitoring`` and by tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.stream import Stream
from headwater.log.protocol import EventLog

ROOM = 2_000_000  # events
SLACK = 1 << 36  # microseconds, most of a day: read beyond what is asked, so that the next question finds it

Int64 = npt.NDArray[np.int64]
Step = Callable[[], None]


class Extract:
    """The events of some entities.

    Args:
        log: where they are read.
        room: events that are held; more only while a single question needs them.
    """

    def __init__(self, log: EventLog, room: int = ROOM) -> None:
        self.log = log
        self._room = room
        self._end = 0
        self._parts: dict[str, _Part] = {}

    @property
    def held(self) -> int:
        """How many events are held."""
        return sum(len(part.batch) for part in self._parts.values() if part.batch is not None)

    def follow(self, end: int) -> None:
        """From now on what is read is read up to this offset, so that the next questions find it there."""
        self._end = end

    def events_of(
        self,
        stream: Stream,
        wanted: Mapping[str, pl.Series],
        read: Sequence[str],
        *,
        stop: int,
        since: int | None = None,
        step: Step | None = None,
    ) -> Iterable[Batch]:
        """The events of a stream that have a wanted key, ascending by offset: as ``rederive.events_of``."""
        if self.held > self._room:
            for each in self._parts.values():
                each.forget()
        part = self._parts.setdefault(stream.name, _Part(stream.name))
        part.widen(read)
        part.hold(self.log, wanted, max(stop, self._end), since, step)
        batch = part.of(wanted, stop, since)
        if batch is not None:
            yield Batch(batch.stream, batch.offset, batch.arrival, batch.time, batch.frame.select(read))


class _Part:
    """What is held of one stream."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._read: tuple[str, ...] = ()
        self.batch: Batch | None = None
        self._keys: dict[str, pl.Series] = {}
        self._stop = 0
        self._since: int | None = None

    def forget(self) -> None:
        """Hold nothing."""
        self.batch, self._keys, self._stop, self._since = None, {}, 0, None

    def widen(self, read: Sequence[str]) -> None:
        """Keep these columns, too."""
        if not set(read) <= set(self._read):
            self.forget()
            self._read = tuple(dict.fromkeys((*self._read, *read)))

    def hold(
        self, log: EventLog, wanted: Mapping[str, pl.Series], stop: int, since: int | None, step: Step | None
    ) -> None:
        """Hold every event of the wanted keys before an offset, from a time on."""
        if self._keys and not _within(since, self._since):
            self.forget()
        if not self._keys:
            self._since = None if since is None else since - SLACK
        missing = {name: self._missing(name, keys.unique()) for name, keys in wanted.items()}
        missing = {name: keys for name, keys in missing.items() if len(keys)}
        end = max(stop, self._stop)
        found: list[Batch] = [] if self.batch is None else [self.batch]
        if self._keys and end > self._stop:
            found += self._scan(log, self._keys, self._stop, end, step)
        if missing:
            found += self._scan(log, missing, 0, end, step)
            self._keys |= {
                name: pl.concat([self._keys[name], keys]) if name in self._keys else keys
                for name, keys in missing.items()
            }
        self._stop = end
        if len(found) > (self.batch is not None):
            self.batch = _joined(found)

    def of(self, wanted: Mapping[str, pl.Series], stop: int, since: int | None) -> Batch | None:
        """The held events of some keys, in the columns that are read."""
        batch = self.batch
        if batch is None:
            return None
        fits = _fits(batch, {name: keys.unique() for name, keys in wanted.items()})
        fits &= batch.offset < stop
        if since is not None:
            fits &= batch.time >= since
        rows = np.flatnonzero(fits)
        return _rows(batch, rows) if len(rows) else None

    def _missing(self, name: str, keys: pl.Series) -> pl.Series:
        held = self._keys.get(name)
        if held is None:
            return keys
        return keys.filter(~keys.is_in(held.cast(keys.dtype).implode()))

    def _scan(
        self, log: EventLog, keys: Mapping[str, pl.Series], start: int, stop: int, step: Step | None
    ) -> Iterable[Batch]:
        for batch in log.scan([self._stream], start=start, stop=stop, since=self._since, by_stream=True):
            if step is not None:
                step()
            rows = np.flatnonzero(_fits(batch, keys))
            if len(rows):
                narrow = Batch(
                    batch.stream, batch.offset, batch.arrival, batch.time, batch.frame.select(self._read)
                )
                yield _rows(narrow, rows)


def _within(since: int | None, held: int | None) -> bool:
    """Whether what is held reaches back far enough."""
    return held is None or (since is not None and since >= held)


def _fits(batch: Batch, keys: Mapping[str, pl.Series]) -> npt.NDArray[np.bool_]:
    """Which events have one of some keys."""
    fits = np.zeros(len(batch), dtype=np.bool_)
    for name, some in keys.items():
        own = batch.frame.get_column(name)
        same = own == some[0] if len(some) == 1 else own.is_in(some.cast(own.dtype).implode())
        fits |= same.fill_null(value=False).to_numpy()
    return fits


def _rows(batch: Batch, rows: Int64) -> Batch:
    places = batch.offset[rows], batch.arrival[rows], batch.time[rows]
    return Batch(batch.stream, *places, batch.frame[rows])


def _joined(parts: Sequence[Batch]) -> Batch:
    """Parts in the order of the log, each event once."""
    offset = np.concatenate([part.offset for part in parts])
    whole = Batch(
        parts[0].stream,
        offset,
        np.concatenate([part.arrival for part in parts]),
        np.concatenate([part.time for part in parts]),
        pl.concat([part.frame for part in parts]),
    )
    if bool((np.diff(offset) > 0).all()):
        return whole
    return _rows(whole, np.unique(offset, return_index=True)[1])
