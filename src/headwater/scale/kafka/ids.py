"""Which event ids a partition has seen, and what they were sent with: 16 bytes an id.

The newest in a dict; sorted arrays behind it, of which four neighbours of one size become one. The key of an
integer is itself, that of a text a 64-bit hash; beside it stands a 64-bit hash of the exact values, so that
the same event sent again is told from another event under its id. Called by ``partition``.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]

RECENT = 65_536
FAN = 4

_pack = msgspec.msgpack.Encoder().encode


def digest(values: tuple[Any, ...]) -> int:
    """A 64-bit hash of an event's exact values.

    Example:
        >>> digest((1, 2.0, "a")) == digest((1, 2.0, "a")), digest((1,)) == digest((2,))
        (True, False)
    """
    return int.from_bytes(blake2b(_pack(values), digest_size=8).digest(), "little", signed=True)


def key_of(id: int | str) -> int:
    """A 64-bit key of an id."""
    if isinstance(id, str):
        return int.from_bytes(blake2b(id.encode(), digest_size=8).digest(), "little", signed=True)
    return id if id < 2**63 else id - 2**64


class Ids:
    """The ids of one stream in one partition.

    Example:
        >>> ids = Ids()
        >>> ids.add(7, 100)
        >>> ids.find(7), ids.find(8)
        (100, None)
    """

    def __init__(self) -> None:
        self._recent: dict[int, int] = {}
        self._runs: list[tuple[Int64, Int64]] = []

    def __len__(self) -> int:
        return len(self._recent) + sum(len(keys) for keys, _ in self._runs)

    def find(self, key: int) -> int | None:
        """The digest of the event that has the id, or None."""
        known = self._recent.get(key)
        if known is not None:
            return known
        for keys, digests in self._runs:
            place = int(np.searchsorted(keys, key))
            if place < len(keys) and keys[place] == key:
                return int(digests[place])
        return None

    def any_of(self, keys: Int64) -> bool:
        """Whether one of some keys may be known: the quick question for a batch."""
        if not self._recent.keys().isdisjoint(keys.tolist()):
            return True
        for known, _ in self._runs:
            places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            if bool((known[places] == keys).any()):
                return True
        return False

    def add(self, key: int, digest: int) -> None:
        """Remember an id that was not known."""
        self._recent[key] = digest
        if len(self._recent) >= RECENT:
            self._settle()

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

    def _settle(self) -> None:
        if not self._recent:
            return
        keys = np.fromiter(self._recent, np.int64, len(self._recent))
        digests = np.fromiter(self._recent.values(), np.int64, len(self._recent))
        order = np.argsort(keys)
        self._runs.append((keys[order], digests[order]))
        self._recent = {}
        while len(self._runs) >= FAN and len(self._runs[-FAN][0]) < 2 * FAN * len(self._runs[-1][0]):
            self._runs[-FAN:] = [_merged(self._runs[-FAN:])]


def _merged(runs: list[tuple[Int64, Int64]]) -> tuple[Int64, Int64]:
    keys = np.concatenate([keys for keys, _ in runs])
    digests = np.concatenate([digests for _, digests in runs])
    order = np.argsort(keys, kind="stable")
    return keys[order], digests[order]
