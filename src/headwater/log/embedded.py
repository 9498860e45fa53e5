"""The embedded event log: one SQLite file, one writer, many readers.

The front of this package: opened by the command line, training and serving, as an
:class:`~headwater.log.protocol.EventLog`. The work is done next door: ``appending`` (what to write),
``scan`` (reading), ``duplicates`` with ``ids``, ``compaction``, ``integrity``, ``dead_letters``. Why it is
built like this: design note 0004.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Self

import numpy as np
import polars as pl

from headwater.core.batch import Batch, Int64
from headwater.core.closing import Closing
from headwater.core.errors import LogError
from headwater.core.handful import Values
from headwater.definitions.stream import Stream
from headwater.log import compaction, dead_letters, integrity, scan, segments, strokes
from headwater.log.appending import plan
from headwater.log.catalog import Catalog, Version
from headwater.log.database import connect_beside, connect_reader, connect_writer, sqlite_errors, transaction
from headwater.log.duplicates import Verdict, judge
from headwater.log.index import IndexOfStreams, runs_folder
from headwater.log.lock import WriterLock
from headwater.log.plan import Head, Plan, end_of
from headwater.log.protocol import Append, DeadLetter, Letters, Receipt
from headwater.log.scan import Range
from headwater.log.schema import StoredSchema
from headwater.log.single import plan_few, plan_single

_SAVE_HEAD = "INSERT OR REPLACE INTO heads (stream, events, last, arrival, chain) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What a log holds of one stream; times in microseconds, None while it is empty."""

    stream: str
    events: int
    segments: int
    bytes: int
    first_time: int | None
    last_time: int | None
    first_arrival: int | None
    last_arrival: int | None


class EmbeddedLog(Closing):
    """A durable, ordered log of events in one file. Open it with :meth:`open`.

    Safe to share between threads: appends wait for each other, reads do not wait.

    Example:
        >>> import tempfile
        >>> import headwater as hw
        >>> visits = hw.Stream("visits", {"id": pl.Int64, "at": pl.Datetime("us", "UTC")}, id="id", time="at")
        >>> frame = pl.DataFrame({"id": [1, 2], "at": [5, 7]}).cast({"at": pl.Datetime("us", "UTC")})
        >>> folder = tempfile.TemporaryDirectory()
        >>> with EmbeddedLog.open(folder.name + "/events.log", [visits]) as log:
        ...     receipt = log.append("visits", frame, arrival=10)
        ...     again = log.append("visits", frame, arrival=11)
        ...     [batch.offset.tolist() for batch in log.scan()]
        [[0, 1]]
        >>> receipt.accepted, again.accepted, again.duplicates
        (2, 0, 2)
        >>> folder.cleanup()
    """

    def __init__(self, path: Path, streams: Sequence[Stream], max_bytes: int | None, lock: WriterLock | None):
        """Use :meth:`open`."""
        self.path = path
        self._lock = lock
        self._mutex = RLock()
        self._writer: sqlite3.Connection | None = None
        self._index: IndexOfStreams | None = None
        self._heads: dict[str, Head] = {}
        self._stale = False
        self._folding: dict[str, compaction.Folding] = {}
        try:
            if lock is not None:
                self._start_writing(streams, max_bytes)
            else:
                with self._reading() as connection:
                    self._catalog = Catalog(connection)
                    self._catalog.assume(self._catalog.changes(streams))
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        path: str | Path,
        streams: Sequence[Stream] = (),
        *,
        writer: bool = True,
        max_bytes: int | None = None,
    ) -> Self:
        """Open a log; a writer makes it if there is none.

        Args:
            path: the log's file. Beside it lie SQLite's ``-wal`` and ``-shm``, ``-lock`` and ``-ids``.
            streams: the streams of the project. New ones are added to the log; a known one may have grown.
            writer: to append. One process at a time; any number may read meanwhile.
            max_bytes: the size that the file may reach; appends beyond it are errors.

        Raises:
            LogError: another process writes; the file is none of ours, of another version or damaged; a
                stream's definition does not fit the events that the log holds.
        """
        path = Path(path)
        if not writer:
            return cls(path, streams, None, None)
        if not path.parent.is_dir():
            raise LogError.of(
                "the folder of the event log does not exist",
                where=str(path.parent),
                do="make the folder first",
            )
        return cls(path, streams, max_bytes, WriterLock(path))

    def close(self) -> None:
        """Let go of the file. Everything acknowledged is on disk already."""
        with self._mutex:
            if self._index is not None:
                self._index.close()
                self._index = None
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    # --- Writing ---------------------------------------------------------------------------------

    def append(self, stream: str, frame: pl.DataFrame, *, arrival: int | Int64) -> Receipt:
        """Append events of one stream; they are on disk when this returns.

        Args:
            stream: a declared stream.
            frame: exactly the stream's columns and types (see ``ingest`` for anything else).
            arrival: when they arrived, microseconds UTC: one instant, or one per event, ascending.

        Raises:
            DataError: the frame is not what the stream takes, or arrival goes back. Nothing was appended.
            LogError: not opened for writing, unknown stream, or the disk. Nothing was appended.
        """
        return self.append_many([Append(stream, frame, arrival)])[0]

    def append_many(
        self, appends: Sequence[Append], *, merge: bool = False, letters: Letters | None = None
    ) -> list[Receipt]:
        """Append several batches as one: all or none. See :class:`~headwater.log.protocol.EventLog`."""
        with self._mutex, sqlite_errors(self.path):
            connection, index = self._writing()
            if self._stale:
                index = self._remember(connection)
            made = self._planned(appends, index, merge=merge)
            found = letters(made.receipts) if letters is not None else ()
            if made.segments or found:
                self._write(connection, index, made, found)
            return made.receipts

    def append_few(self, stream: str, values: Values, *, arrival: int) -> Receipt | None:
        """Append a few events of one stream the short way. See :class:`~headwater.log.protocol.EventLog`."""
        with self._mutex, sqlite_errors(self.path):
            connection, index = self._writing()
            if self._stale:
                index = self._remember(connection)
            version = self._catalog.newest(stream)
            made = plan_few(stream, values, arrival, version, self._heads, index)
            if made is None:
                return None
            self._write(connection, index, made, ())
            return made.receipts[0]

    def compact(self) -> compaction.CompactionReport:
        """Merge small segments; offsets, bits and the hash chain stay. Readers may go on reading."""
        with self._mutex, sqlite_errors(self.path):
            connection, _ = self._writing()
            self._folding.clear()
            return compaction.compact(connection, self._catalog)

    def checkpoint(self) -> None:
        """Move what lies in the WAL into the file, so that no append has to do it; for a thread beside."""
        with sqlite_errors(self.path), closing(connect_beside(self.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def remove_dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, ids: Sequence[int] | None = None
    ) -> int:
        """Delete the dead letters that match all that is given; how many."""
        with self._mutex, sqlite_errors(self.path):
            connection, _ = self._writing()
            with transaction(connection):
                return dead_letters.remove(connection, stream, reason, ids)

    # --- Reading ---------------------------------------------------------------------------------

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of the log's streams, sorted."""
        return self._catalog.streams

    def schema(self, stream: str) -> StoredSchema:
        """The definition of a stream that is in force.

        Raises:
            LogError: the log has no such stream.
        """
        return self._catalog.newest(stream).schema

    def scan(
        self,
        streams: Collection[str] | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        since: int | None = None,
        until: int | None = None,
        by_stream: bool = False,
    ) -> Iterator[Batch]:
        """Events in the order of the log. See :class:`~headwater.log.protocol.EventLog`.

        Raises:
            LogError: an unknown stream; while reading: a damaged segment, named.
        """
        names = self._names(streams)
        wanted = self._range(start, stop, since, until)
        return self._batches(names, wanted) if by_stream else scan.in_order(self._windows(names, wanted))

    def windows(
        self,
        streams: Collection[str] | None = None,
        *,
        start: int = 0,
        stop: int | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> Iterator[Mapping[str, Batch]]:
        """Events in windows of 65,536 offsets, with one batch per stream in each.

        Windows ascend and do not overlap; the batches of one window may. The quick way to read streams that
        alternate: as long batches as :meth:`scan` with ``by_stream``, and no need to hold a stream in memory.
        """
        return self._windows(self._names(streams), self._range(start, stop, since, until))

    def end(self) -> int:
        """The offset that the next event will get: how many events the log holds."""
        return 1 + self._ends()[0]

    def arrival(self) -> int:
        """The last arrival, or -2^63 in an empty log. A new event cannot have arrived before it."""
        return self._ends()[1]

    def offset_at(self, arrival: int) -> int:
        """How much of the log had arrived by an instant: the first offset that arrived later, or the end."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT first FROM segments WHERE arrival_max > ? ORDER BY first LIMIT 1", (arrival,)
            ).fetchone()
        if row is None:
            return self.end()
        window = row[0] - row[0] % segments.WINDOW
        late = [
            int(batch.offset[np.searchsorted(batch.arrival, arrival, side="right")])
            for batches in self.windows(start=window, stop=window + segments.WINDOW)
            for batch in batches.values()
            if batch.arrival[-1] > arrival
        ]
        return min(late)

    def dead_letters(
        self, *, stream: str | None = None, reason: str | None = None, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Refused events, the oldest first: at most ``limit`` of those behind the id ``after``."""
        with self._reading() as connection:
            return dead_letters.listing(connection, stream, reason, after, limit)

    def dead_letter_counts(self, stream: str | None = None) -> dict[str, int]:
        """How many dead letters there are, by reason, the most frequent first."""
        with self._reading() as connection:
            return dead_letters.counts(connection, stream)

    def status(self) -> list[StreamStatus]:
        """What the log holds of each stream, by name."""
        with self._reading() as connection:
            rows = {
                row[0]: StreamStatus(*row)
                for row in connection.execute(
                    "SELECT stream, sum(events), count(*), sum(length(record)), min(time_min), max(time_max),"
                    " min(arrival_min), max(arrival_max) FROM segments GROUP BY stream"
                )
            }
        empty = (0, 0, 0, None, None, None, None)
        return [rows.get(stream, StreamStatus(stream, *empty)) for stream in self.streams]

    def verify(self) -> integrity.Verification:
        """Look at every byte, offset and link of the log, and report everything that is wrong."""
        with self._reading() as connection:
            connection.execute("BEGIN")  # one moment of the log, whatever is appended meanwhile
            return integrity.verify(connection, Catalog(connection), runs_folder(self.path))

    # --- Inside ----------------------------------------------------------------------------------

    def _start_writing(self, streams: Sequence[Stream], max_bytes: int | None) -> None:
        self._writer = connection = connect_writer(self.path, max_bytes)
        with sqlite_errors(self.path):
            self._catalog = Catalog(connection)
            changes = self._catalog.changes(streams)
            if changes:
                with transaction(connection):
                    self._catalog.store(connection, changes)
            self._remember(connection)

    def _remember(self, connection: sqlite3.Connection) -> IndexOfStreams:
        """Take from the disk where streams end and which ids they hold."""
        if self._index is not None:
            self._index.close()
        self._folding.clear()
        self._heads = _read_heads(connection)
        self._index = IndexOfStreams(connection, self._catalog, self.path)
        self._stale = False
        return self._index

    def _write(
        self, connection: sqlite3.Connection, index: IndexOfStreams, made: Plan, letters: Sequence[DeadLetter]
    ) -> None:
        """A plan onto the disk, in one transaction."""
        self._stale = True  # until memory is known to say what the disk says
        if len(made.segments) == 1 and not letters:
            (head,) = made.heads.values()
            strokes.append(connection, made.segments[0], head)
        else:
            with transaction(connection):
                segments.insert(connection, made.segments)
                connection.executemany(_SAVE_HEAD, _head_rows(made.heads))
                if letters:
                    dead_letters.insert(connection, letters)
        self._heads.update(made.heads)
        for stream, ids in made.ids.items():
            index.add(stream, ids)
        self._stale = False
        self._fold(connection, made.segments)

    def _writing(self) -> tuple[sqlite3.Connection, IndexOfStreams]:
        if self._writer is None or self._index is None:
            raise LogError.of(
                "the log is not open for writing",
                where=str(self.path),
                do="open it with writer=True, and do not use it after close()",
            )
        return self._writer, self._index

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with sqlite_errors(self.path), closing(connect_reader(self.path)) as connection:
            yield connection

    def _ends(self) -> tuple[int, int]:
        """The last offset and the last arrival over all streams."""
        with self._mutex:
            if self._writer is not None and not self._stale:
                heads: Mapping[str, Head] = self._heads
            else:
                with self._reading() as connection:
                    heads = _read_heads(connection)
        return end_of(heads)

    def _names(self, streams: Collection[str] | None) -> list[str]:
        names = list(self.streams if streams is None else dict.fromkeys(streams))
        for name in names:
            self._catalog.newest(name)
        return names

    def _range(self, start: int, stop: int | None, since: int | None, until: int | None) -> Range:
        end = self.end()
        return Range(max(0, start), end if stop is None else min(stop, end), since, until)

    def _windows(self, names: Sequence[str], wanted: Range) -> Iterator[Mapping[str, Batch]]:
        with self._reading() as connection:
            yield from scan.by_window(connection, self._catalog, names, wanted)

    def _batches(self, names: Sequence[str], wanted: Range) -> Iterator[Batch]:
        with self._reading() as connection:
            yield from scan.by_stream(connection, self._catalog, names, wanted)

    def _planned(self, appends: Sequence[Append], index: IndexOfStreams, *, merge: bool) -> Plan:
        if not appends:
            return Plan()
        versions = {append.stream: self._catalog.newest(append.stream) for append in appends}
        made = None
        if len(appends) == 1:
            made = plan_single(appends[0], versions[appends[0].stream], self._heads, index)
        return made or plan(appends, versions, self._heads, self._judge, merge=merge)

    def _judge(self, version: Version, frame: pl.DataFrame) -> Verdict | None:
        connection, index = self._writing()
        stream = version.schema.stream
        if version.schema.id is None:
            return None

        def fetch(offsets: Int64) -> pl.DataFrame:
            return scan.events_at(connection, self._catalog, stream, offsets)

        return judge(frame, version.schema, index.of(stream), index.seed, fetch)

    def _fold(self, connection: sqlite3.Connection, written: Sequence[segments.Segment]) -> None:
        """Fold single events together, now and then, so that reading them stays quick."""
        for segment in written:
            folding = self._folding.get(segment.stream)
            if folding is None:
                folding = self._folding[segment.stream] = compaction.Folding(self._catalog)
            with suppress(sqlite3.Error, LogError):  # the append itself is done; next time, then
                folding.add(connection, segment)


def _head_rows(heads: Mapping[str, Head]) -> list[tuple[str, int, int, int, bytes]]:
    return [(stream, head.events, head.last, head.arrival, head.chain) for stream, head in heads.items()]


def _read_heads(connection: sqlite3.Connection) -> dict[str, Head]:
    rows = connection.execute("SELECT stream, events, last, arrival, chain FROM heads")
    return {stream: Head(*facts) for stream, *facts in rows}
