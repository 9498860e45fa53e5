"""How far an owner has come: told to whoever measures, and remembered by whoever goes on after it.

::

    Writing ── Published ──► headwater_online_* at /metrics, the counts of `headwater stream`
            └─ Memory ─────► Spark's state ──► the next worker's Writing, which goes on with it

Kept by ``writing``; ``owners`` adds those of its parts together. Read ``writing`` next.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_SUMMED = ("writes", "keys", "bytes", "nanoseconds", "fillings", "strays")


@dataclass(slots=True)
class Published:
    """What an owner did so far, for whoever measures.

    Attributes:
        up: whether the last try came through.
        whole: whether others can read a whole state that is of this owner.
        epoch: of this owner; 0 before the first.
        offset: the last place in the log that is published.
        at: when that was seen last, microseconds UTC.
        writes, keys, bytes: publications, the states in them, and their size.
        nanoseconds: that they took, from the copy to Redis' answer.
        fillings: generations that were filled.
        strays: keys that were found in a part that theirs is not.
    """

    up: bool = False
    whole: bool = False
    epoch: int = 0
    offset: int = -1
    at: int = 0
    writes: int = 0
    keys: int = 0
    bytes: int = 0
    nanoseconds: int = 0
    fillings: int = 0
    strays: int = 0

    def handed_over(self) -> Published:
        """The counts, which begin again from nothing here: they are kept elsewhere from now on."""
        counts = together([self])
        for name in _SUMMED:
            setattr(self, name, 0)
        return counts


def together(each: Iterable[Published]) -> Published:
    """What several did, counts alone.

    Example:
        >>> both = together([Published(writes=2, keys=5, epoch=7), Published(writes=1, keys=1)])
        >>> both.writes, both.keys, both.epoch
        (3, 6, 0)
    """
    listed = list(each)
    found: dict[str, Any] = {name: sum(getattr(one, name) for one in listed) for name in _SUMMED}
    return Published(**found)


@dataclass(frozen=True, slots=True)
class Memory:
    """What an owner has to know to go on in another process, where it left off.

    Attributes:
        id, epoch: who it is.
        generation: that others read; "" if none is whole.
        texts: of each view, how many were written.
        seals: over those, see ``texts``.
        offset: the last place of which Redis has said that it is written; -1 before the first.
        run: of the query that it is of; another one begins, and takes the part over.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    epoch: int = 0
    generation: str = ""
    texts: Mapping[str, int] = field(default_factory=dict)
    seals: Mapping[str, str] = field(default_factory=dict)
    offset: int = -1
    run: str = ""
