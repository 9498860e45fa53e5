"""The id indexes of all streams of a log: opened from their files, completed from the log.

Owns the folder ``<log>-ids`` and the table that says which of its files are whole. Both are derived: what
is missing, damaged or made with another hash is read from the log again. Called by ``embedded``, under its
lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from headwater.log.catalog import Catalog
from headwater.log.database import sqlite_errors, transaction
from headwater.log.ids import IdIndex, NewIds, keys_of, probe_of
from headwater.log.runs import Run, load
from headwater.log.segments import WINDOW, read, select


def runs_folder(path: Path) -> Path:
    """Where the runs of the log at ``path`` are."""
    return path.with_name(path.name + "-ids")


class IndexOfStreams:
    """One :class:`~headwater.log.ids.IdIndex` per stream that has ids."""

    def __init__(self, connection: sqlite3.Connection, catalog: Catalog, path: Path) -> None:
        self._connection = connection
        self._catalog = catalog
        self._path = path
        self._folder = runs_folder(path)
        self._background = ThreadPoolExecutor(1, "headwater-ids")
        self.seed = int(connection.execute("SELECT value FROM meta WHERE key = 'id_seed'").fetchone()[0])
        self._indexes = {
            stream: self._opened(stream)
            for stream in catalog.streams
            if catalog.newest(stream).schema.id is not None
        }
        self._tidy()

    def of(self, stream: str) -> IdIndex:
        """The index of a stream that has ids."""
        return self._indexes[stream]

    def add(self, stream: str, ids: NewIds) -> None:
        """Remember new events of a stream; they are in the log."""
        self._indexes[stream].add(ids.keys, ids.offsets, fresh=ids.fresh)

    def close(self) -> None:
        """Let the merge that runs come to its end."""
        for index in self._indexes.values():
            index.settle()
        self._background.shutdown()

    def _opened(self, stream: str) -> IdIndex:
        probe = probe_of(self.seed)

        def listed(new: Sequence[Run], replaced: Sequence[Run]) -> None:
            self._list(stream, new, replaced)

        index = IdIndex(self._folder, probe, self._runs(stream, probe), self._background, listed)
        covered = index.covered
        firsts = self._connection.execute(
            "SELECT first FROM segments WHERE stream = ? AND first >= ? AND last >= ? ORDER BY first",
            (stream, covered - covered % WINDOW, covered),
        ).fetchall()
        for (first,) in firsts:
            self._complete(index, first, covered)
        return index

    def _complete(self, index: IdIndex, first: int, covered: int) -> None:
        """Add the ids of a segment's events from the offset ``covered`` on."""
        (segment,) = select(self._connection, "first = ?", first)
        codec = self._catalog.codec(segment.schema)
        events = read(codec, segment)
        rows = events.offset >= covered
        index.add(keys_of(codec.ids(events.columns), self.seed)[rows], events.offset[rows])

    def _runs(self, stream: str, probe: int) -> list[Run]:
        """Whole runs from offset 0 on, without a gap."""
        runs: list[Run] = []
        high = 0
        for file, low, top in self._connection.execute(
            "SELECT file, low, high FROM id_runs WHERE stream = ? ORDER BY low", (stream,)
        ).fetchall():
            run = load(self._folder / file, low, top, probe) if low == high else None
            if run is None:
                break
            runs.append(run)
            high = top
        return runs

    def _list(self, stream: str, new: Sequence[Run], replaced: Sequence[Run]) -> None:
        with sqlite_errors(self._path), transaction(self._connection):
            self._connection.executemany(
                "INSERT OR REPLACE INTO id_runs (file, stream, low, high) VALUES (?, ?, ?, ?)",
                [(run.file.name, stream, run.low, run.high) for run in new if run.file is not None],
            )
            self._connection.executemany(
                "DELETE FROM id_runs WHERE file = ?",
                [(run.file.name,) for run in replaced if run.file is not None],
            )
        for run in replaced:
            if run.file is not None:
                with suppress(OSError):  # a file that is still mapped cannot go on some systems
                    run.file.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Remove files and rows of runs that are not in use."""
        used = {run.file for index in self._indexes.values() for run in index.runs if run.file is not None}
        names = {file.name for file in used}
        listed = [file for (file,) in self._connection.execute("SELECT file FROM id_runs").fetchall()]
        stale = [(file,) for file in listed if file not in names]
        if stale:
            with transaction(self._connection):
                self._connection.executemany("DELETE FROM id_runs WHERE file = ?", stale)
        if self._folder.is_dir():
            for file in self._folder.glob("*.ids"):
                if file not in used:
                    with suppress(OSError):
                        file.unlink()
