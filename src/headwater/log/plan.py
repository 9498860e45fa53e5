"""What one transaction writes, worked out before it begins.

Made by ``appending``, for frames of any size, and by ``single``, for one event; committed by ``embedded``,
whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headwater.log.ids import NewIds
from headwater.log.protocol import Receipt
from headwater.log.segments import GENESIS, Segment

NEVER = -(2**63)  # the arrival before the first


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream ends: its events, the last offset and arrival, the last link of its chain."""

    events: int = 0
    last: int = -1
    arrival: int = NEVER
    chain: bytes = GENESIS


EMPTY = Head()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write, and what to tell and remember once it is written.

    Attributes:
        segments: the rows to insert.
        heads: the new heads of the streams concerned.
        ids: stream to the ids of its new events, where it has ids.
        receipts: one per append.
    """

    segments: tuple[Segment, ...] = ()
    heads: Mapping[str, Head] = field(default_factory=dict)
    ids: Mapping[str, NewIds] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)


def end_of(heads: Mapping[str, Head]) -> tuple[int, int]:
    """The last offset and the last arrival over all streams; -1 and NEVER before the first event."""
    held = heads.values()
    return max((head.last for head in held), default=-1), max((head.arrival for head in held), default=NEVER)
