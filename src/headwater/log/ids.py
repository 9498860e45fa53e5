"""Which ids a stream holds already, and where: the newest in a dict, the rest in sorted runs.

An LSM tree without deletions: 65,536 ids in memory, then a sorted run, which is written to disk in the
background; there four neighbouring runs of one size become one, too. A lookup is a dict probe and a binary
search per run, some ten runs for ten million ids. Keys are the integers themselves, or a seeded 64-bit hash
of texts: equal keys only ever mean *look at the stored event*, which ``duplicates`` does.

Nothing here needs to survive: what is not in a run is read from the log at opening (see ``embedded``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl

from headwater.core.batch import Int64
from headwater.core.errors import LogError
from headwater.log.runs import Run, merged_run, save, sorted_run

RECENT = 65_536  # ids in memory before they are sorted away; about 7 MB
FAN = 4  # neighbouring runs of one size that become one

_LOWEST = -(2**63)

Listed = Callable[[Sequence[Run], Sequence[Run]], None]  # (new runs, runs they replace) -> on record
Tidied = list[tuple[Sequence[Run], Run]]  # neighbours, and the run on disk that takes their place


@dataclass(frozen=True, slots=True)
class NewIds:
    """Keys of events that are now in the log, with their offsets; ``fresh`` if no key was found before."""

    keys: Int64
    offsets: Int64
    fresh: bool


def keys_of(ids: pl.Series, seed: int) -> Int64:
    """A 64-bit key for each id: itself for integers, a hash for texts.

    Example:
        >>> keys_of(pl.Series([3, 1], dtype=pl.UInt8), seed=0).tolist()
        [3, 1]
    """
    if ids.dtype == pl.Int64:
        return ids.to_numpy()
    if ids.dtype == pl.UInt64:
        return ids.to_numpy().view(np.int64)
    if ids.dtype.is_integer():
        return ids.cast(pl.Int64).to_numpy()
    # Polars has a hash, too, but for a text at a time its thread pool costs as much as the rest of an append.
    hashed = blake2b(digest_size=8, key=seed.to_bytes(8, "little"))
    digests = []
    for text in ids.to_list():
        copy = hashed.copy()
        copy.update(text.encode())
        digests.append(copy.digest())
    return np.frombuffer(b"".join(digests), "<i8")


def key_of(ids: pl.Series, seed: int) -> int:
    """The key of the only id of a column, as :func:`keys_of` gives it.

    Example:
        >>> key_of(pl.Series([3]), seed=0), key_of(pl.Series([2**64 - 1], dtype=pl.UInt64), seed=0)
        (3, -1)
    """
    return key_of_value(ids[0], seed)


def key_of_value(id: int | str, seed: int) -> int:
    """The key of one id, as :func:`keys_of` gives it.

    Example:
        >>> bool(key_of_value("a", 7) == keys_of(pl.Series(["a"]), 7)[0])
        True
    """
    if isinstance(id, str):
        hashed = blake2b(id.encode(), digest_size=8, key=seed.to_bytes(8, "little"))
        return int.from_bytes(hashed.digest(), "little", signed=True)
    return id if id < -_LOWEST else id + 2 * _LOWEST


def probe_of(seed: int) -> int:
    """A number that stands for how this log makes keys of texts; no other log has the same."""
    return int(keys_of(pl.Series(["", "a", "headwater", "ö" * 40]), seed).view(np.uint64).sum())


class IdIndex:
    """Ids of one stream.

    Args:
        folder: where runs are kept.
        probe: see :func:`probe_of`.
        runs: runs that cover offsets from 0 on without a gap.
        background: where runs are written and merged.
        listed: called with new runs once their files are on disk, and the runs that they replace.
    """

    def __init__(
        self, folder: Path, probe: int, runs: Sequence[Run], background: Executor, listed: Listed
    ) -> None:
        self.runs = list(runs)
        self._folder = folder
        self._probe = probe
        self._background = background
        self._listed = listed
        self._recent: dict[int, int] = {}
        self._top = _LOWEST  # the highest key in _recent
        self._clashes: dict[int, list[int]] = {}  # further offsets of a key in _recent
        self._high = self.covered  # every id below this offset is in a run or in _recent
        self._tidying: Future[Tidied] | None = None

    @property
    def covered(self) -> int:
        """Every id with a lower offset is in a run."""
        return self.runs[-1].high if self.runs else 0

    def find(self, keys: Int64) -> tuple[Int64, Int64]:
        """Pairs (row of ``keys``, offset) of every event that may have that id; ``keys`` ascending."""
        found = [run.find(keys) for run in self.runs]
        if keys[0] <= self._top and not self._recent.keys().isdisjoint(keys.tolist()):
            pairs = [
                (row, offset)
                for row, key in enumerate(keys.tolist())
                if key in self._recent
                for offset in (self._recent[key], *self._clashes.get(key, ()))
            ]
            found.append((np.array([row for row, _ in pairs]), np.array([offset for _, offset in pairs])))
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return np.concatenate([rows for rows, _ in found]), np.concatenate([places for _, places in found])

    def holds(self, key: int) -> bool:
        """Whether there is an event that may have this id."""
        return key in self._recent or any(run.holds(key) for run in self.runs)

    def add(self, keys: Int64, offsets: Int64, *, fresh: bool = False) -> None:
        """Remember ids of events that are now in the log, offsets ascending; ``fresh`` if none was found."""
        self._high = int(offsets[-1]) + 1
        if self._tidying is not None and self._tidying.done():
            self._take(self._tidying)
        if len(keys) + len(self._recent) >= RECENT:
            self._sort_away(keys, offsets)
            return
        if fresh and len(keys) == 1:
            key = int(keys[0])
            self._top = max(self._top, key)
            self._recent[key] = int(offsets[0])
            return
        self._top = max(self._top, int(keys.max()))
        pairs = zip(keys.tolist(), offsets.tolist(), strict=True)
        if fresh:
            self._recent.update(pairs)
            return
        for key, offset in pairs:
            held = self._recent.setdefault(key, offset)
            if held != offset:
                self._clashes.setdefault(key, []).append(offset)

    def settle(self) -> None:
        """Wait for what is done in the background, until nothing is left to do."""
        while self._tidying is not None:
            self._tidying.exception()
            self._take(self._tidying)

    def _sort_away(self, keys: Int64, offsets: Int64) -> None:
        clashes = [(key, offset) for key, more in self._clashes.items() for offset in more]
        held = len(self._recent)
        keys = np.concatenate(
            [np.fromiter(self._recent.keys(), np.int64, held), [key for key, _ in clashes], keys],
            dtype=np.int64,
            casting="unsafe",  # an empty list counts as floats
        )
        offsets = np.concatenate(
            [np.fromiter(self._recent.values(), np.int64, held), [place for _, place in clashes], offsets],
            dtype=np.int64,
            casting="unsafe",  # an empty list counts as floats
        )
        self._recent, self._clashes, self._top = {}, {}, _LOWEST
        self.runs.append(sorted_run(self.covered, self._high, keys, offsets))
        if self._tidying is None:
            self._tidy()

    def _tidy(self) -> None:
        """Begin to write what is in memory alone, and to merge what is of one size."""
        group = self._of_one_size()
        alone = [run for run in self.runs if run.file is None and not any(run is one for one in group)]
        if group or alone:
            self._tidying = self._background.submit(self._tidied, alone, group)

    def _of_one_size(self) -> Sequence[Run]:
        """The newest neighbours that are to become one."""
        for end in range(len(self.runs), FAN - 1, -1):
            group = self.runs[end - FAN : end]
            if _level(group[0]) == _level(group[-1]):
                return group
        return ()

    def _tidied(self, alone: Sequence[Run], group: Sequence[Run]) -> Tidied:
        found: Tidied = []
        with suppress(OSError):  # no room: the runs stay in memory; the events themselves are safe
            for run in alone:
                found.append(([run], save(run, self._folder, self._probe)))  # one by one: some may fail
            if group:
                found.append((group, save(merged_run(group), self._folder, self._probe)))
        return found

    def _take(self, tidying: Future[Tidied]) -> None:
        """Go on with what was written in the background; and see whether more is to be done."""
        self._tidying = None
        done = tidying.result()
        for before, run in done:
            at = next(place for place, one in enumerate(self.runs) if one is before[0])
            self.runs[at : at + len(before)] = [run]
            with suppress(OSError, LogError):  # the file is found to be nobody's, and goes, at the next start
                self._listed([run], [one for one in before if one.file is not None])
        if done:
            self._tidy()


def _level(run: Run) -> int:
    """Runs of one level are of one size, within a factor of FAN."""
    return int(np.log(max(1, len(run.keys) / RECENT)) / np.log(FAN) + 0.5)
