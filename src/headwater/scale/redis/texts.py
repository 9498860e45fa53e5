"""The texts of a part that lie in Redis, and that a state calls them by the same numbers.

A state names a text by its place in the view's codebook, and a codebook's order is that in which texts came
to it: not a function of the records alone, as they may be taken in by columns or one by one. So whoever goes
on with what another wrote has to see that its own book begins with the texts that lie there: each view has a
*seal*, a hash over them in their order. Kept by ``fenced``, checked by ``writing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from headwater.engine.keys import Codebook
from headwater.scale.redis.states import Held


class Texts:
    """How many texts of each view were written, and of which book.

    Args:
        counts: of each view, how many.
        seals: of each view, over those.

    Attributes:
        counts, seals: the same now.
    """

    def __init__(
        self, counts: Mapping[str, int] | None = None, seals: Mapping[str, str] | None = None
    ) -> None:
        self.counts, self.seals = dict(counts or {}), dict(seals or {})
        self._books: dict[str, Codebook] = {}  # those that are known to begin with what was written

    @classmethod
    def none_of(cls, held: Held) -> Texts:
        """None were written; those to come will be of these books."""
        made = cls()
        made._books = {name: state.book for name, state in held.vectors.engine.states.items()}
        return made

    def wrote(self, view: str, more: Iterable[str]) -> None:
        """Texts of a view were written behind those before."""
        listed = list(more)
        self.counts[view] = self.counts.get(view, 0) + len(listed)
        self.seals[view] = seal(self.seals.get(view, ""), listed)

    def fit(self, held: Held) -> bool:
        """Whether what is held calls them by the same numbers; while the engine is shut."""
        for name, state in held.vectors.engine.states.items():
            if self._books.get(name) is not state.book:
                count = self.counts.get(name, 0)
                if count and seal("", state.book.texts[:count]) != self.seals.get(name):
                    return False
                self._books[name] = state.book
        return True


def seal(before: str, texts: Iterable[str]) -> str:
    """A hash over texts in their order, from that over those before them.

    Example:
        >>> seal(seal("", ["a", "b"]), ["c"]) == seal("", ["a", "b", "c"]) != seal("", ["b", "a", "c"])
        True
    """
    found = bytes.fromhex(before)
    for text in texts:
        found = blake2b(found + text.encode(), digest_size=16).digest()
    return found.hex()
