"""The newest snapshot, read by a thread of its own while the process is still importing its libraries.

To read and check a few GB takes seconds, and so do the imports of a server; neither needs the other. Begun by
``headwater serve`` before anything else, asked by ``snapshots`` for what it has read; imports no engine.
"""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from headwater.engine import sections
from headwater.engine.sections import Sections

SUFFIX = ".snapshot"


def files(folder: Path) -> list[Path]:
    """The snapshots in a folder, the newest first."""
    return sorted(folder.glob(f"*{SUFFIX}"), reverse=True)


class Ahead:
    """Begins to read at once.

    Args:
        folder: of the snapshots; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._path = next(iter(files(folder)), None)
        self._found: Future[Sections | None] | None = None
        if self._path is not None:
            self._found = Future()
            Thread(target=self._read, args=(self._path, self._found), daemon=True).start()

    def take(self, path: Path) -> Sections | None:
        """What a snapshot holds, once and to one caller; None if that was not read.

        So it is with another file than the newest, and with one of an older format.

        Raises:
            StoreError: it is damaged.
            OSError: it cannot be read.
        """
        found, self._found = self._found, None
        if found is None or path != self._path:
            return None
        return found.result()

    @staticmethod
    def _read(path: Path, found: Future[Sections | None]) -> None:
        try:
            with path.open("rb", buffering=0) as file:
                known = sections.knows(file.read(len(sections.MAGIC)))
                found.set_result(sections.read(file) if known else None)
        except BaseException as error:  # noqa: BLE001 - whoever asks for it is told
            found.set_exception(error.with_traceback(None))  # else it would hold what was read
