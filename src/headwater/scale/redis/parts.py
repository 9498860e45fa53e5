"""A store in parts: how many there are, and which of them holds an entity.

::

    embedded log   ──► one engine ────────────────► the store is one part, ``WHOLE``
    Kafka, 12 partitions ──► an engine for each ──► parts 0 .. 11, each with an owner of its own

Part n is of Kafka's partition n, so an entity's part is the partition that its key leads to: murmur2 of the
key as text, as Kafka's own clients have it and ``scale.kafka.publish`` asks for. Used by ``writing`` and
``source``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]

_SEED, _M, _WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


class Part(NamedTuple):
    """Which part, of how many; as it is, the only one, of one engine.

    Example:
        >>> Part(3, 12).layout, Part().layout
        ('12 murmur2', '')
    """

    number: int = -1
    of: int = 0

    @property
    def layout(self) -> str:
        """How the project's store is cut, in words that every owner has to share; none if it is not."""
        return f"{self.of} murmur2" if self.of else ""

    @property
    def buckets(self) -> int:
        """Hashes that hold a view's keys."""
        return 128 if self.of else 1_024


WHOLE = Part()


def part_of(key: Any, parts: int) -> int:
    """The part that holds an entity.

    Args:
        key: of the entity.
        parts: how many there are.

    Example:
        >>> part_of(7, 12), part_of("alice", 12), part_of(7, 1)
        (3, 9, 0)
    """
    return (murmur2(str(key).encode()) & 0x7FFFFFFF) % parts


def strays(keys: Sequence[Any], part: Part) -> list[int]:
    """The places of keys whose events should lie in another part.

    Example:
        >>> strays([7, 9, 10], Part(3, 12))
        [1, 2]
    """
    texts = [str(key).encode() for key in keys]
    lengths = np.array([len(text) for text in texts])
    found = np.zeros(len(texts), dtype=np.bool_)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        numbers = _murmur2([texts[row] for row in rows.tolist()], length)
        found[rows] = (numbers & 0x7FFFFFFF) % part.of != part.number
    places: list[int] = np.flatnonzero(found).tolist()
    return places


def murmur2(data: bytes) -> int:
    """As Kafka's clients have it (``Utils.murmur2``), unsigned.

    Example:
        >>> [murmur2(text) for text in (b"21", b"foobar", b"a-little-bit-long-string")]
        [3321034988, 3504634814, 3308985760]
    """
    h = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _WORD
        h = (h * _M & _WORD) ^ ((k ^ k >> 24) * _M & _WORD)
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _WORD
    h = (h ^ h >> 13) * _M & _WORD
    return h ^ h >> 15


def _murmur2(texts: Sequence[bytes], length: int) -> Int64:
    """:func:`murmur2` of texts of one length."""
    whole = length & ~3
    data = np.frombuffer(b"".join(texts), dtype=np.uint8).reshape(len(texts), length).astype(np.uint32)
    m = np.uint32(_M)
    h = np.full(len(texts), _SEED ^ length, dtype=np.uint32)
    for at in range(0, whole, 4):
        k = _word(data[:, at : at + 4]) * m
        h = (h * m) ^ ((k ^ (k >> np.uint32(24))) * m)
    if whole < length:
        h = (h ^ _word(data[:, whole:])) * m
    h = (h ^ (h >> np.uint32(13))) * m
    return (h ^ (h >> np.uint32(15))).astype(np.int64)


def _word(columns: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    found = np.zeros(len(columns), dtype=np.uint32)
    for place in range(columns.shape[1]):
        found |= columns[:, place] << np.uint32(8 * place)
    return found
