"""A log to which no dead letter is added twice: what makes a repeated import change nothing.

Called by ``run``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import Append, DeadLetter, Letters, Receipt

_PAGE = 10_000


class Settled:
    """The log, but a dead letter that it holds already is not stored again: a repeated import adds none."""

    def __init__(self, log: EmbeddedLog) -> None:
        self._log = log
        self._known = set(_held(log))
        self.append, self.append_few = log.append, log.append_few
        self.scan, self.end, self.arrival = log.scan, log.end, log.arrival

    def append_many(
        self, appends: Sequence[Append], *, merge: bool = False, letters: Letters | None = None
    ) -> list[Receipt]:
        """As the log's, without the letters that are known."""

        def new(receipts: Sequence[Receipt]) -> list[DeadLetter]:
            found = [] if letters is None else letters(receipts)
            fresh = {_mark(letter): letter for letter in found if _mark(letter) not in self._known}
            self._known |= fresh.keys()
            return list(fresh.values())

        return self._log.append_many(appends, merge=merge, letters=new)


def _held(log: EmbeddedLog) -> Iterator[bytes]:
    after = 0
    while page := log.dead_letters(after=after, limit=_PAGE):
        yield from map(_mark, page)
        after = page[-1].id


def _mark(letter: DeadLetter) -> bytes:
    facts = (letter.stream, letter.source, letter.reason, letter.message, letter.event)
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).digest()
