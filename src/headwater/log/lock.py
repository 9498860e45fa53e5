"""One writer: a lock on a file beside the log, held by the operating system for the process.

The system lets go of it when the process ends, however it ends, so that ``kill -9`` leaves nothing to
clean up. Called by ``embedded`` when it opens for writing. The file stays; it holds the writer's process id.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headwater.core.errors import LogError

if sys.platform == "win32":
    import msvcrt

    def _seize(descriptor: int) -> None:
        os.lseek(descriptor, 2**30, os.SEEK_SET)  # far behind the text, which others may read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _seize(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class WriterLock:
    """Holds the log at ``path`` for this process until :meth:`release`.

    Raises:
        LogError: another process writes to this log.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.with_name(path.name + "-lock")
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _seize(self._descriptor)
        except OSError:
            holder = self._holder()
            os.close(self._descriptor)
            raise LogError.of(
                "the log is being written by another process",
                expected="one writer",
                got=holder,
                where=str(path),
                do="stop that process, send the events through it, or open the log with writer=False",
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, str(os.getpid()).encode())

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._descriptor)

    def _holder(self) -> str:
        text = self._file.read_text(encoding="ascii", errors="replace").strip()
        return f"process {text}" if text else "an unknown process"
