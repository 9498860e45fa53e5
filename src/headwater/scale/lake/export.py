"""The export: each table of a lake is brought up to its source's end, by one process at a time.

Called by ``apps.lakes``, for the command line and for the job of a server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headwater.core.errors import StoreError
from headwater.scale.lake.parquet import State
from headwater.scale.lake.source import Chunk, Source
from headwater.scale.lake.table import Table
from headwater.store.holding import holding


class Sink(Protocol):
    """A table that rows go into: ``parquet`` or ``delta``."""

    state: State

    def append(self, chunk: Chunk, mark: str) -> int:
        """Write rows and how far they reach, all or none; how many files were written."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did for one table.

    Attributes:
        table: its name.
        rows: that were added.
        files: that were written.
        place: that it reaches now.
    """

    table: str
    rows: int
    files: int
    place: int


Progress = Callable[[str, int, int], None]


@contextmanager
def alone(path: Path, where: str) -> Iterator[None]:
    """Be the only export of a lake until the end of the block.

    Args:
        path: the file that is held.
        where: the lake, for the error.

    Raises:
        StoreError: another process is exporting.
    """
    with holding(path) as mine:
        if not mine:
            raise StoreError.of(
                "another export is writing to this lake",
                expected="one export at a time",
                where=where,
                do="wait for it; `headwater lake follow` and a server with HEADWATER_LAKE are exports, too",
            )
        yield


def export(sources: Iterable[Source], sink: Callable[[Table], Sink], progress: Progress) -> list[Exported]:
    """Bring tables up to date. What is committed stays, wherever this ends.

    Args:
        sources: of the tables.
        sink: opens a table.
        progress: told table, place and end after each commit; may raise to end the export.

    Raises:
        DataError: a table cannot go on as it is declared now.
        StoreError: a table is of another log, or cannot be written.
    """
    return [_table(source, sink(source.table), progress) for source in sources]


def _table(source: Source, into: Sink, progress: Progress) -> Exported:
    start, before = into.state.place, into.state.rows
    end = source.end()
    _same(source, into.state, end)
    files = 0
    progress(source.table.name, start, end)
    if start < end:
        for chunk in source.chunks(start, end):
            if chunk.reached > into.state.place:
                files += into.append(chunk, source.mark(chunk.reached))
                progress(source.table.name, chunk.reached, end)
    into.close()
    return Exported(source.table.name, into.state.rows - before, files, into.state.place)


def _same(source: Source, state: State, end: int) -> None:
    """See that a table goes on from what this source holds.

    Raises:
        StoreError: it was made from another.
    """
    if state.place <= end and (not state.mark or source.mark(state.place) == state.mark):
        return
    raise StoreError.of(
        f"the table {source.table.name} of the lake was made from another log",
        expected=f"one that reaches {state.place:,} and holds {state.mark or 'anything'} before it",
        got=f"{end:,}" if state.place > end else source.mark(state.place),
        where=source.table.name,
        do="export into another folder; a log that was restored from a copy needs a new lake, too",
    )
