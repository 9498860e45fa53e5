"""The partitions that a host owns: from where each is told, and its snapshots, written beside the work.

::

    keep: due ──► one a turn: copied ──► written by a thread ──► kept, or the fault told in a later turn

Between two turns a state is copied at once and written meanwhile, so that scores do not wait for a disk, but
only once all that the state was told of is committed; a partition that goes to another host is on disk before
it goes. Called by ``host``; read ``snapshots`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from headwater.core.errors import StoreError
from headwater.definitions.project import Project
from headwater.scale.kafka.partition import Partition
from headwater.scale.kafka.payloads.registry import Registry
from headwater.scale.kafka.snapshots import PartitionSnapshots, capture
from headwater.serving.scoring import Scoring


@dataclass(slots=True)
class Owned:
    """A partition that this host owns.

    Attributes:
        state: of it.
        committed: stream to the offset from which on effects are told.
        kept: its position at the last snapshot.
    """

    state: Partition
    committed: dict[str, int]
    kept: int

    @property
    def place(self) -> int:
        """How many records of its topics it has taken in."""
        return sum(self.state.positions.values())

    @property
    def ahead(self) -> bool:
        """Whether it has taken in what was not told yet."""
        return any(at > self.committed.get(name, 0) for name, at in self.state.positions.items())


class Keeper:
    """What a host owns. One thread calls it; another of its own writes.

    Args:
        project: the definitions.
        scorings: model to its version.
        folder: where snapshots are.
        registry: where schemas are registered, if there is one.
        on_fault: told of a snapshot that could not be written.
    """

    def __init__(
        self,
        project: Project,
        scorings: Mapping[str, Scoring],
        folder: Path,
        registry: Registry | None,
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self.owned: dict[int, Owned] = {}
        self._project = project
        self._scorings = scorings
        self._snapshots = PartitionSnapshots(folder, registry)
        self._on_fault = on_fault
        self._writer = ThreadPoolExecutor(1, "headwater-snapshots")
        self._writing: tuple[Owned, int, Future[Path | None]] | None = None
        self._due: list[int] = []

    def admit(self, number: int, committed: dict[str, int]) -> None:
        """A partition comes: with its newest snapshot that is not ahead of the group."""
        self._settle()
        state = self._snapshots.newest(number, self._project, self._scorings, committed)
        self.owned[number] = Owned(state, committed, sum(state.positions.values()))

    def release(self, number: int) -> None:
        """A partition goes: its state is on disk when this returns, for whoever gets it."""
        owned = self.owned.pop(number, None)
        if owned is not None:
            self._settle()
            self._begin(number, owned, None)
            self._settle()

    def drop(self) -> None:
        """Forget all of it, and keep nothing."""
        self._settle()
        self.owned.clear()

    def lose(self, number: int) -> None:
        """A partition is another's already."""
        self.owned.pop(number, None)

    def keep(self) -> None:
        """Snapshots of all partitions that have moved on are due; see :meth:`step`."""
        self._due = [number for number in self.owned if number not in self._due] + self._due

    def step(self, behind: Future[None] | None) -> None:
        """Begin the next snapshot that is due, if none is being written. Called between two turns.

        Args:
            behind: the end of the last transaction in flight, behind which the state is what was told; None
                if none is.
        """
        if self._writing is not None and not self._writing[2].done():
            return
        self._settle()
        while self._due and self._writing is None:
            number = self._due.pop(0)
            if number in self.owned:
                self._begin(number, self.owned[number], behind)

    def close(self) -> None:
        """Keep all, and end."""
        for number in list(self.owned):
            self.release(number)
        self._writer.shutdown()

    def _begin(self, number: int, owned: Owned, behind: Future[None] | None) -> None:
        if owned.place > owned.kept and (behind is not None or not owned.ahead):
            pieces = capture(owned.state)
            written = self._writer.submit(self._write, number, owned.place, pieces, behind)
            self._writing = owned, owned.kept, written
            owned.kept = owned.place

    def _write(
        self, number: int, place: int, pieces: list[bytes | memoryview], behind: Future[None] | None
    ) -> Path | None:
        """Write what was copied, unless what it was told of was undone: then the state is dropped, too."""
        if behind is not None and behind.exception() is not None:
            return None
        return self._snapshots.save(number, place, pieces)

    def _settle(self) -> None:
        """Wait for what is being written."""
        if self._writing is None:
            return
        owned, before, written = self._writing
        self._writing = None
        try:
            written.result()
        except StoreError as error:
            owned.kept = before  # tried again the next time
            self._on_fault("snapshot", error)
