"""A run: ids of one stream as sorted keys with their offsets, in a file that never changes.

Sixteen bytes per event, mapped into memory, so that ten million ids cost no memory that the system could
not take back, and open at once. Derived from the log: a run that is missing or damaged is made again.
Written and merged by ``ids``.
"""

from __future__ import annotations

import os
import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headwater.core.batch import Int64

_HEADER = struct.Struct("<8sQqqQII16x")  # magic, events, low, high, seed probe, checksum, version
_MAGIC = b"HWTRIDS1"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Every id of a stream with ``low <= offset < high``.

    Attributes:
        keys: int64, shape (n,), ascending; equal keys are possible for different ids.
        offsets: int64, shape (n,): the place of each.
        file: where it is kept; None while it lives in memory alone.
    """

    low: int
    high: int
    keys: Int64
    offsets: Int64
    file: Path | None

    def find(self, keys: Int64) -> tuple[Int64, Int64]:
        """Rows of ``keys`` (ascending) that are in the run, and the offsets; several for equal keys.

        Example:
            >>> run = Run(0, 3, np.array([5, 5, 9]), np.array([0, 2, 1]), None)
            >>> rows, offsets = run.find(np.array([4, 5]))
            >>> rows.tolist(), offsets.tolist()
            ([1, 1], [0, 2])
        """
        if not len(self.keys) or keys[0] > self.keys[-1] or keys[-1] < self.keys[0]:
            return _NONE, _NONE
        at = np.searchsorted(self.keys, keys)
        if not (self.keys.take(at, mode="clip") == keys).any():  # as nearly always: ids are new
            return _NONE, _NONE
        rows, offsets = [], []
        pending = np.arange(len(keys))
        while len(pending):
            inside = at < len(self.keys)
            pending, at = pending[inside], at[inside]
            same = self.keys[at] == keys[pending]
            pending, at = pending[same], at[same]
            rows.append(pending)
            offsets.append(self.offsets[at])
            at = at + 1
        return np.concatenate(rows), np.concatenate(offsets)

    def holds(self, key: int) -> bool:
        """Whether a key is in the run.

        Example:
            >>> run = Run(0, 2, np.array([5, 9]), np.array([0, 1]), None)
            >>> run.holds(9), run.holds(10)
            (True, False)
        """
        if not len(self.keys) or key > self.keys[-1]:  # as ids that ascend
            return False
        return bool(self.keys[self.keys.searchsorted(key)] == key)


_NONE: Int64 = np.empty(0, np.int64)


def sorted_run(low: int, high: int, keys: Int64, offsets: Int64) -> Run:
    """A run in memory of keys in any order."""
    order = np.argsort(keys)
    return Run(low, high, keys[order], offsets[order], None)


def merged_run(runs: Sequence[Run]) -> Run:
    """One run in memory of neighbouring runs, the earliest first."""
    keys = np.concatenate([run.keys for run in runs])
    offsets = np.concatenate([run.offsets for run in runs])
    return sorted_run(runs[0].low, runs[-1].high, keys, offsets)


def save(run: Run, folder: Path, probe: int) -> Run:
    """Write a run to a new file in ``folder``, on disk when this returns; the run as mapped from it.

    Raises:
        OSError: the file cannot be written; nothing is left of it.
    """
    folder.mkdir(exist_ok=True)
    file = folder / f"{uuid.uuid4().hex}.ids"
    keys, offsets = run.keys.astype("<i8", copy=False), run.offsets.astype("<i8", copy=False)
    checksum = zlib.crc32(offsets.data, zlib.crc32(keys.data))
    try:
        with file.open("wb") as out:
            out.write(_HEADER.pack(_MAGIC, len(keys), run.low, run.high, probe, checksum, _VERSION))
            out.write(keys.data)
            out.write(offsets.data)
            out.flush()
            os.fsync(out.fileno())
        return _mapped(file, run.low, run.high, len(keys))
    except OSError:
        file.unlink(missing_ok=True)
        raise


def load(file: Path, low: int, high: int, probe: int) -> Run | None:
    """The run in a file, or None if it is not there, not whole, or made with another hash."""
    try:
        with file.open("rb") as source:
            header = source.read(_HEADER.size)
            size = source.seek(0, os.SEEK_END)
        magic, count, found_low, found_high, found_probe, _, version = _HEADER.unpack(header)
    except (OSError, struct.error):
        return None
    if (magic, found_low, found_high, found_probe, version) != (_MAGIC, low, high, probe, _VERSION):
        return None
    return _mapped(file, low, high, count) if size == _HEADER.size + 16 * count else None


def intact(file: Path) -> bool:
    """Whether the bytes of a run's file are those that were written."""
    with file.open("rb") as source:
        header = source.read(_HEADER.size)
        checksum = 0
        while chunk := source.read(2**20):
            checksum = zlib.crc32(chunk, checksum)
    return len(header) == _HEADER.size and checksum == _HEADER.unpack(header)[5]


def _mapped(file: Path, low: int, high: int, count: int) -> Run:
    if not count:
        return Run(low, high, _NONE, _NONE, file)
    whole = np.memmap(file, "<i8", mode="r", offset=_HEADER.size, shape=(2 * count,)).view(np.ndarray)
    return Run(low, high, whole[:count], whole[count:], file)
