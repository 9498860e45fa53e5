"""Where a host's partitions stand: behind what they were, behind their topics' ends, or level with both.

::

    records of a topic    x x x x x x x x x x x x x x x x x x x x x
                                │         │           │           │
                           position    committed    target       end
                                └ restored ┘           │           │
                                └────── caught up ─────┘           │
                                └───────────── lag ────────────────┘

The target is the end as it was when the partition came: under load the end itself goes away from whoever runs
after it. Ends come from the client's own statistics, so that nobody asks the brokers; so does the position
behind what a reader never sees: records that are too old and gone, and the markers of transactions. Called by
``host``, and only if somebody wants to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from headwater.scale.kafka.keeper import Owned

EVERY = 500  # milliseconds between two looks
_STALE = 2  # reports that may still tell of the time before a partition came


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the partitions of a host stand.

    Attributes:
        lag: partition and stream to the records that are not taken in yet; those whose end is known.
        behind: partitions that have not caught up since they came.
        keys: view to how many keys the partitions hold together.
    """

    lag: Mapping[tuple[int, str], int]
    behind: tuple[int, ...]
    keys: Mapping[str, int]


class _Part(msgspec.Struct):
    """What the client says of a partition: what it fetches next, where it ends, what waits to be taken."""

    partition: int = -1
    next_offset: int = -1
    hi_offset: int = -1
    ls_offset: int = -1
    fetchq_cnt: int = 0
    fetch_state: str = ""


class _Topic(msgspec.Struct):
    partitions: dict[str, _Part] = {}


class _Report(msgspec.Struct):
    topics: dict[str, _Topic] = {}


_decode = msgspec.json.Decoder(_Report).decode
_NONE = _Topic()


@dataclass(slots=True)
class _Came:
    """A partition that came.

    Attributes:
        committed: stream to where the group stood.
        targets: stream to the end as it was then, once that is known.
        passed: stream to the place up to which there is nothing to read.
        restored, level: whether it got to the one, and to the other.
    """

    committed: dict[str, int]
    targets: dict[str, int] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    restored: bool = False
    level: bool = False

    def place(self, owned: Owned, stream: str) -> int:
        """Up to where a stream is taken in."""
        return max(owned.state.positions[stream], self.passed.get(stream, 0))

    def reached(self, owned: Owned, places: Mapping[str, int]) -> bool:
        """Whether it has got to some places."""
        return all(self.place(owned, stream) >= place for stream, place in places.items())


class Standings:
    """Follows a host's partitions. One thread.

    Args:
        streams: topic to its stream.
    """

    def __init__(self, streams: Mapping[str, str]) -> None:
        self._streams = dict(streams)
        self._came: dict[int, _Came] = {}
        self._report: str | None = None
        self._stale = _STALE

    def hear(self, report: str) -> None:
        """A report of the client's: looked at once the records that were handed out before it are in."""
        self._report = report

    def come(self, owned: Mapping[int, Owned]) -> None:
        """These are the host's from now on, as they stand; what was heard is of the time before."""
        self._came = {number: _Came(dict(one.committed)) for number, one in owned.items()}
        self._report, self._stale = None, _STALE

    def restored(self, owned: Mapping[int, Owned]) -> list[int]:
        """The partitions that have got to where the group stood, each told once."""
        found = [
            number
            for number, came in self._came.items()
            if not came.restored and number in owned and came.reached(owned[number], came.committed)
        ]
        for number in found:
            self._came[number].restored = True
        return found

    def look(self, owned: Mapping[int, Owned]) -> Standing | None:
        """Where they stand, if there is something new to be seen."""
        if self._report is None:
            return None
        topics, self._report = _decode(self._report).topics, None
        if self._stale:
            self._stale -= 1
            return None
        lag = {}
        for topic, stream in self._streams.items():
            for part in topics.get(topic, _NONE).partitions.values():
                came = self._came.get(part.partition)
                if came is not None and part.partition in owned and part.fetch_state == "active":
                    if part.fetchq_cnt == 0:
                        came.passed[stream] = part.next_offset
                    if part.hi_offset >= 0:
                        came.targets.setdefault(stream, part.ls_offset)
                        place = came.place(owned[part.partition], stream)
                        lag[part.partition, stream] = max(0, part.hi_offset - place)
        for number, came in self._came.items():
            known = len(came.targets) == len(self._streams) and number in owned
            came.level = came.level or (known and came.reached(owned[number], came.targets))
        behind = tuple(number for number, came in sorted(self._came.items()) if not came.level)
        return Standing(lag, behind, _keys(owned.values()))


def _keys(owned: Iterable[Owned]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in owned:
        for view, state in one.state.engine.states.items():
            found[view] = found.get(view, 0) + state.keys.count
    return found
