"""A snapshot's file is whole or not there: written beside its place, flushed, renamed, its folder flushed.

Whoever is ended in the middle leaves a file of another name, which the next writer removes. The one writer of
snapshots, embedded and on Kafka. Called by ``snapshots`` and ``scale.kafka.snapshots``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from headwater.core.errors import StoreError

UNDONE = ".new"  # how the name of one ends that is being written


def write_whole(path: Path, pieces: Iterable[memoryview | bytes], *, left: str, do: str) -> None:
    """Write a file; on disk, name and all, when this returns.

    Args:
        path: where; its folder is made.
        pieces: what, one after the other; nothing is held back.
        left: the names, as a pattern, of what others may have left that were ended while they wrote.
        do: for the error: what helps where the disk does not.

    Raises:
        StoreError: the disk will not have it; nothing changed then.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "a" / "7.snapshot"
        >>> write_whole(path, [b"all ", b"of it"], left="*.new", do="make room")
        >>> path.read_bytes(), [one.name for one in path.parent.iterdir()]
        (b'all of it', ['7.snapshot'])
        >>> folder.cleanup()
    """
    beside = path.with_name(f"{path.stem}.{uuid4().hex}{UNDONE}")  # two owners of a moment do not share it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for one in path.parent.glob(left):
            one.unlink(missing_ok=True)
        _write(beside, pieces)
        beside.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise StoreError.of(
            "a snapshot cannot be written",
            got=error.strerror or type(error).__name__,
            where=str(path),
            do=do,
        ) from error


def remove(files: Iterable[Path]) -> None:
    """Remove older snapshots; one that cannot go does no harm, and goes the next time."""
    for old in files:
        with suppress(OSError):
            old.unlink(missing_ok=True)


def _write(path: Path, pieces: Iterable[memoryview | bytes]) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the rename itself survive, where the system lets folders be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
