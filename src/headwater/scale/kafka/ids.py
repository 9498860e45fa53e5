"""Which event ids a partition has seen, and what they were sent with: 16 bytes an id.

The newest in a dict; sorted arrays behind it, of which four neighbours of one size become one. The key of an
integer is itself, that of a text a 64-bit hash; beside it stands a 64-bit hash of the exact values, so that
the same event sent again is told from another event under its id. Both are of ``digests``. Called by
``partition``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

RECENT = 65_536
FAN = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What is to be said of some events by their ids: shape (n,) each.

    Attributes:
        new: nobody had the id before.
        conflict: one that had it held other values; what is neither is a duplicate.
    """

    new: Flags
    conflict: Flags


class Ids:
    """The ids of one stream in one partition.

    Example:
        >>> ids = Ids()
        >>> ids.take(np.array([7, 8, 7]), np.array([100, 200, 101]))
        Seen(new=array([ True,  True, False]), conflict=array([False, False,  True]))
        >>> ids.take(np.array([8]), np.array([200]))
        Seen(new=array([False]), conflict=array([False]))
    """

    def __init__(self) -> None:
        self._recent: dict[int, int] = {}
        self._runs: list[tuple[Int64, Int64]] = []

    def __len__(self) -> int:
        return len(self._recent) + sum(len(keys) for keys, _ in self._runs)

    def take(self, keys: Int64, digests: Int64) -> Seen:
        """Judge some events in their order, and remember the new ones.

        Args:
            keys: of their ids, int64, shape (n,).
            digests: of their values, int64, shape (n,).
        """
        distinct, first, which = np.unique(keys, return_index=True, return_inverse=True)
        known, of_known = self._find(distinct)
        new = np.zeros(len(keys), dtype=np.bool_)
        new[first[~known]] = True
        base = np.where(known, of_known, digests[first])
        self._add(distinct[~known], base[~known])
        return Seen(new, ~new & (digests != base[which]))

    def arrays(self) -> tuple[Int64, Int64]:
        """All keys, ascending, and their digests."""
        self._settle()
        if not self._runs:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return _merged(self._runs)

    @classmethod
    def of(cls, keys: Int64, digests: Int64) -> Ids:
        """Ids as :meth:`arrays` gave them."""
        made = cls()
        if len(keys):
            made._runs.append((keys, digests))
        return made

    def _find(self, keys: Int64) -> tuple[Flags, Int64]:
        """Which of some keys, ascending, are known, and the digests of those."""
        known, digests = np.zeros(len(keys), dtype=np.bool_), np.zeros(len(keys), dtype=np.int64)
        listed = keys.tolist()
        if not self._recent.keys().isdisjoint(listed):
            for place, key in enumerate(listed):
                digest = self._recent.get(key)
                if digest is not None:
                    known[place], digests[place] = True, digest
        for have, of_have in self._runs:
            places = np.minimum(np.searchsorted(have, keys), len(have) - 1)
            hit = have[places] == keys
            known |= hit
            digests[hit] = of_have[places[hit]]
        return known, digests

    def _add(self, keys: Int64, digests: Int64) -> None:
        """Remember keys, ascending, that were not known."""
        if not len(keys):
            return
        if len(keys) >= RECENT // FAN:  # a run by itself
            self._settle()
            self._push(keys, digests)
            return
        self._recent.update(zip(keys.tolist(), digests.tolist(), strict=True))
        if len(self._recent) >= RECENT:
            self._settle()

    def _settle(self) -> None:
        if not self._recent:
            return
        keys = np.fromiter(self._recent, np.int64, len(self._recent))
        digests = np.fromiter(self._recent.values(), np.int64, len(self._recent))
        order = np.argsort(keys)
        self._recent = {}
        self._push(keys[order], digests[order])

    def _push(self, keys: Int64, digests: Int64) -> None:
        self._runs.append((keys, digests))
        while len(self._runs) >= FAN and len(self._runs[-FAN][0]) < 2 * FAN * len(self._runs[-1][0]):
            self._runs[-FAN:] = [_merged(self._runs[-FAN:])]


def _merged(runs: Sequence[tuple[Int64, Int64]]) -> tuple[Int64, Int64]:
    keys = np.concatenate([keys for keys, _ in runs])
    digests = np.concatenate([digests for _, digests in runs])
    order = np.argsort(keys, kind="stable")
    return keys[order], digests[order]
