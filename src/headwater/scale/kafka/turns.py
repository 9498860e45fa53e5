"""What one transaction did, for whoever counts: in all, and by stream.

Counted once a turn, never for each record. Made by ``host`` and by ``spark.stream``; told by their hooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.scale.kafka.partition import Effect


@dataclass(frozen=True, slots=True)
class Tally:
    """What was done with records of one stream.

    Attributes:
        records: taken in, those behind a snapshot included, of which all was told before.
        events, duplicates, scores: as in :class:`Turn`.
        refused: dead letters by their reason.
    """

    records: int = 0
    events: int = 0
    duplicates: int = 0
    scores: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one transaction did: records read, new events, duplicates, refused ones, scores sent.

    Attributes:
        streams: the same by stream.
        arrival: when the brokers took in the first record that it tells of, microseconds UTC; 0 if there is
            none, or it is not known.
        begun, departed, landed: when its records were there, when what they did was sent off, and when that
            was committed: stopwatch, nanoseconds; 0 if there was nothing to tell.
    """

    records: int
    events: int
    duplicates: int
    refused: int
    scores: int
    streams: Mapping[str, Tally] = field(default_factory=dict)
    arrival: int = 0
    begun: int = 0
    departed: int = 0
    landed: int = 0

    @classmethod
    def of(
        cls,
        streams: Mapping[str, Tally],
        arrival: int = 0,
        begun: int = 0,
        departed: int = 0,
        landed: int = 0,
    ) -> Turn:
        """The turn of some streams.

        Example:
            >>> turn = Turn.of({"payments": Tally(3, 1, 0, 1, {"not-json": 2}), "visits": Tally(4, 4)})
            >>> turn.records, turn.events, turn.refused, turn.scores
            (7, 5, 2, 1)
        """
        each = streams.values()
        return cls(
            sum(one.records for one in each),
            sum(one.events for one in each),
            sum(one.duplicates for one in each),
            sum(sum(one.refused.values()) for one in each),
            sum(one.scores for one in each),
            streams,
            arrival,
            begun,
            departed,
            landed,
        )


def tally(records: int, effects: Iterable[Effect]) -> Tally:
    """What some records of a stream did."""
    listed: Sequence[Effect] = list(effects)
    reasons: Counter[str] = Counter()
    for effect in listed:
        if effect.letters:
            reasons.update(letter.reason for letter in effect.letters)
    return Tally(
        records,
        sum(effect.events for effect in listed),
        sum(effect.duplicates for effect in listed),
        sum(len(one) for effect in listed for one in effect.rescored),
        reasons,
    )
