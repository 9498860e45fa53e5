"""A hash chain over texts in order, so that none can be changed, dropped or slipped in without being seen.

::

    chain(n) = sha256(chain(n-1) + text(n))         chain(0) = 32 zero bytes

    number    1          2          3
    text      t1         t2         t3              one byte of t2 changed: link 2 is not the one that stands
    chain  0 -> c1 ----> c2 ----> c3                there; with c2 mended too, link 3 is wrong, and so on

The end of a chain can be cut off without a link being wrong: only a link that was noted elsewhere shows that
(``marks``). Called by ``store.audit`` and ``store.ledger``; texts may come as bytes, so that a damaged one
can be told from a whole one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from headwater.core.errors import StoreError

GENESIS = bytes(32)

_RESTORE = "restore the records from a copy; nobody may change it"


@dataclass(frozen=True, slots=True)
class Walk:
    """A chain that was followed to its end and holds.

    Attributes:
        count: how many links.
        head: the last link; worth noting elsewhere.
        found: those of the marks that are links of the chain.
    """

    count: int
    head: bytes
    found: frozenset[bytes] = frozenset()


def link(chain: bytes, text: str | bytes) -> bytes:
    """The next link.

    Example:
        >>> link(GENESIS, "{}").hex()[:8]
        'fb1634c4'
    """
    return hashlib.sha256(chain + (text.encode() if isinstance(text, str) else text)).digest()


def follow(
    rows: Iterable[tuple[int, bytes | None, bytes | None]],
    path: Path | str,
    noun: str,
    marks: Collection[bytes] = (),
) -> Walk:
    """Follow a chain from its first link to its last.

    Args:
        rows: number, text and link of each row, ascending by number; numbers count from 1.
        path: the file, for the error.
        noun: what a row is, such as ``"audit entry"``.
        marks: links that were noted elsewhere.

    Raises:
        StoreError: at the first row that is missing, slipped in or changed.

    Example:
        >>> one = link(GENESIS, b"a")
        >>> follow([(1, b"a", one), (2, b"b", link(one, b"b"))], Path("x.db"), "row").count
        2
    """
    chain, count, found = GENESIS, 0, set[bytes]()
    wanted = set(marks)
    for number, text, written in rows:
        if number != count + 1:
            raise _gap(path, noun, count + 1, number)
        chain = link(chain, b"" if text is None else text)
        if text is None or chain != written:
            raise _changed(path, noun, number, chain, written)
        count = number
        if chain in wanted:
            found.add(chain)
    return Walk(count, chain, frozenset(found))


def _gap(path: Path | str, noun: str, expected: int, number: int) -> StoreError:
    what = "is missing" if number > expected else "was slipped in"
    return StoreError.of(
        f"an {noun} {what}" if noun[0] in "aeiou" else f"a {noun} {what}",
        expected=f"number {expected}",
        got=f"number {number}",
        where=str(path),
        do=_RESTORE,
    )


def _changed(path: Path | str, noun: str, number: int, chain: bytes, written: bytes | None) -> StoreError:
    return StoreError.of(
        f"{'an' if noun[0] in 'aeiou' else 'a'} {noun} is not the one that was written",
        expected=f"link {chain.hex()}",
        got="no link" if written is None else f"link {written.hex()}",
        where=f"{path}, number {number}",
        do=_RESTORE,
    )
