"""Snapshots on disk: one file each, named by the offset it stands at; the newest whole one is loaded.

A snapshot is written beside its place, flushed to the disk and then renamed, so that a file of that name is
whole or not there. One that is damaged all the same is passed over: an older one and a longer replay give
the same bits. Called by ``serving`` and ``apps``; the bytes are those of ``engine.snapshot``.
``ahead`` reads one before its engine is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headwater.core.errors import StoreError
from headwater.definitions.view import FeatureView
from headwater.engine import sections, snapshot_npz
from headwater.engine.run import Engine
from headwater.engine.sections import Sections
from headwater.store.ahead import SUFFIX, Ahead, files
from headwater.store.whole import UNDONE, remove, write_whole

KEEP = 2  # the newest, and one to fall back on


@dataclass(frozen=True, slots=True)
class Restored:
    """An engine from a snapshot, and the snapshots that were passed over with the reason.

    Attributes:
        engine: None if there is no snapshot that can be used.
        passed_over: the damaged ones, or those of other definitions, with the reason; the newest first.
        damaged: those of them that should not be so: damaged, or of another log.
    """

    engine: Engine | None
    passed_over: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


class Snapshots:
    """The snapshots of one project.

    Args:
        folder: made at the first save.
        keep: how many to keep.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> snapshots = Snapshots(Path(folder.name))
        >>> snapshots.save(Engine([])).name
        '00000000000000000000.snapshot'
        >>> snapshots.newest([]).engine.offset
        -1
        >>> folder.cleanup()
    """

    def __init__(self, folder: Path, keep: int = KEEP) -> None:
        self.folder = folder
        self._keep = max(1, keep)

    def save(self, engine: Engine) -> Path:
        """Write the engine's state and offset; on disk when this returns. Older snapshots are removed.

        So is what others left that were killed while they wrote. Nothing may be applied meanwhile.

        Raises:
            StoreError: the disk will not have it; nothing changed then.
        """
        path = self.folder / f"{engine.offset + 1:020d}{SUFFIX}"
        do = "make room, or look at the rights of the folder; the log alone is enough to go on"
        write_whole(path, engine.pieces(), left=f"*{UNDONE}", do=do)
        remove(self.files()[self._keep :])
        return path

    def files(self) -> list[Path]:
        """The snapshots' files, the newest first."""
        return files(self.folder)

    def newest(
        self, views: Sequence[FeatureView], ahead: Ahead | None = None, end: int | None = None
    ) -> Restored:
        """An engine from the newest snapshot that is whole and of these views, if there is one.

        Args:
            views: whose state.
            ahead: what was begun to be read before.
            end: of the log; a snapshot that stands beyond it holds events that the log does not have.
        """
        passed_over: list[str] = []
        damaged: list[str] = []
        for path in self.files():
            found = None
            try:
                found = (None if ahead is None else ahead.take(path)) or _read(path)
                engine = Engine.of(views, found)
            except (StoreError, OSError) as error:
                passed_over.append(f"{path.name}: {str(error).partition(chr(10))[0]}")
                if found is None:
                    damaged.append(passed_over[-1])
                continue
            if end is None or engine.offset < end:
                return Restored(engine, tuple(passed_over), tuple(damaged))
            passed_over.append(f"{path.name}: it holds {engine.offset + 1} events, and the log only {end}")
            damaged.append(passed_over[-1])
        return Restored(None, tuple(passed_over), tuple(damaged))


def _read(path: Path) -> Sections:
    with path.open("rb", buffering=0) as file:
        if file.read(len(snapshot_npz.MAGIC)) == snapshot_npz.MAGIC:
            return snapshot_npz.read(path.read_bytes())
        return sections.read(file)
