"""The other half: the states of the keys of decisions, fetched in one round trip, each part as of one place.

::

    keys ──► their parts ──► READ ──► markers, buckets, texts ──► whole? nothing lost? ──► images
                                                                   └─ no: OnlineError, never an empty feature

Safe to share between threads. Called by ``vectors``; the edges ask it how fresh the store is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.core.errors import OnlineError
from headwater.definitions.view import FeatureView
from headwater.scale.redis import names, scripts
from headwater.scale.redis.connection import Address, asking
from headwater.scale.redis.line import Lines
from headwater.scale.redis.parts import WHOLE, Part, part_of

_TRIES = 200  # looks at a store in which a large write is half done
_BETWEEN = 0.005  # seconds
_SILENCE = 500_000_000  # nanoseconds that a Redis which does not answer is not asked again

_NOTHING = "no state, or one that is being filled"

Pair = tuple[str, Any]  # a view and a key


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a part.

    Attributes:
        pairs: whose states.
        known: of each view that has texts, how many of the generation's are known.
    """

    pairs: Sequence[Pair] = ()
    known: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What was fetched of a part.

    Attributes:
        generation: that it is of.
        offset: the last place in the log that it rests on.
        places: of a part of Kafka's, each stream and partition to the last record that it may rest on.
        images: the state of each pair; None for a key that was never seen.
        texts: of each view, the number of the first and those behind the known ones.
    """

    generation: str
    offset: int
    places: Mapping[str, int]
    images: tuple[bytes | None, ...]
    texts: Mapping[str, tuple[int, tuple[str, ...]]]


@dataclass(slots=True)
class Seen:
    """What was seen last, for whoever measures.

    Attributes:
        up: whether Redis answered.
        whole: whether it held a whole state of these definitions.
        offset: the last place in the log that is published; of parts, how many records, less one.
        at: when the owner said so, by its clock, microseconds UTC; 0 before the first; of parts, the oldest.
        fetches: round trips for decisions and readings.
        nanoseconds: that they took.
        refused: how often nothing could be decided.
    """

    up: bool = False
    whole: bool = False
    offset: int = -1
    at: int = 0
    fetches: int = 0
    nanoseconds: int = 0
    refused: int = 0


class Source:
    """Fetches states.

    Args:
        address: of Redis.
        project: its name.
        views: the definitions that the states must be of.
        stopwatch: nanoseconds.
        seen: of an earlier source, to go on with.

    Attributes:
        seen: what was seen last.
    """

    def __init__(
        self,
        address: Address,
        project: str,
        views: Sequence[FeatureView],
        stopwatch: Callable[[], int],
        seen: Seen | None = None,
    ) -> None:
        self.seen = seen or Seen()
        self._address = address
        self._project = project
        self._wanted = json.loads(names.definitions(views))
        self._watch = stopwatch
        self._client = address.client()
        self._lines = Lines(self._client, scripts.READ)
        self._silent: tuple[int, OnlineError] | None = None  # until when, and why
        self._parts: int | None = None  # 0 if the store is one; None if that is to be asked
        self._generations: dict[Part, str] = {}  # those that are known to be of these definitions
        self._known: dict[Part, bytes] = {}  # the same, as Redis has them
        self._offsets: dict[Part, int] = {}

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def look(self) -> None:
        """See whether the store is whole, all its parts, and how fresh.

        Raises:
            OnlineError: it is not.
        """
        of = self._cut()
        self.fetch({part: Wanted() for part in ([Part(n, of) for n in range(of)] if of else [WHOLE])})

    def is_one(self) -> bool:
        """Whether the store is one part; raises OnlineError if Redis does not answer."""
        return not self._cut()

    def part(self, key: Any) -> Part:
        """The part that holds a key; raises OnlineError if Redis does not answer."""
        of = self._cut()
        return Part(part_of(key, of), of) if of else WHOLE

    def fetch(self, wanted: Mapping[Part, Wanted]) -> dict[Part, Found] | None:
        """The states of some keys, in one round trip.

        Args:
            wanted: of each part.

        Returns:
            Of each part what was found. None if texts are known of another generation than the one that is
            read from now on, or the store is cut otherwise: to be asked anew.

        Raises:
            OnlineError: Redis does not answer, or what it holds is not whole, or of other definitions.
        """
        pairs, started = any(one.pairs for one in wanted.values()), self._watch()
        try:
            found = self._fetch(wanted)
        except OnlineError:
            self.seen.refused += pairs
            raise
        if pairs:
            self.seen.fetches += 1
            self.seen.nanoseconds += self._watch() - started
        return found

    def generation(self, part: Part) -> str:
        """The one that is read of a part, as far as is known."""
        return self._generations.get(part, "")

    def _fetch(self, wanted: Mapping[Part, Wanted]) -> dict[Part, Found] | None:
        fields = [names.field(key) for one in wanted.values() for _, key in one.pairs]
        start: list[str | bytes] = [str(len(wanted)), str(len(fields)), *fields]
        start += [str(known) for one in wanted.values() for known in one.known.values()]
        for _ in range(_TRIES):
            answer = self._ask(self._keys(wanted, fields), start)
            markers = dict(zip(wanted, answer, strict=False))
            odd = [part for part, marker in markers.items() if marker[0] != self._known.get(part, b"")]
            if odd:
                parts = self._parts
                for part in odd:
                    self._check(part)
                if self._parts != parts or any(wanted[part].known for part in odd):
                    return None
            elif any(moving is not None for _, _, _, moving, _ in markers.values()):
                time.sleep(_BETWEEN)
            else:
                self._see(markers)
                return self._made(wanted, markers, answer[len(wanted) :], len(fields))
        raise self.not_whole("a large write that does not end")

    def _keys(self, wanted: Mapping[Part, Wanted], fields: Sequence[bytes]) -> list[str]:
        keys = [names.marker(self._project, part) for part in wanted]
        fields_left = iter(fields)
        for part, one in wanted.items():
            of = self._project, self.generation(part)
            keys += [
                names.bucket(*of, view, names.number_of(next(fields_left), part)) for view, _ in one.pairs
            ]
        for part, one in wanted.items():
            keys += [names.texts(self._project, self.generation(part), view) for view in one.known]
        if self._parts:
            keys.append(names.strays(self._project))
        return keys

    def _made(
        self, wanted: Mapping[Part, Wanted], markers: Mapping[Part, Any], rest: Sequence[Any], pairs: int
    ) -> dict[Part, Found]:
        if any(there is None for there, _ in rest[:pairs]):
            raise self.not_whole("a part that is gone")
        if self._parts and any(rest[-1]):
            raise self._stray()
        images = iter([image for _, image in rest[:pairs]])
        texts = iter(rest[pairs:])
        found = {}
        for part, one in wanted.items():
            _, offset, _, _, positions = markers[part]
            more = {
                view: (start, tuple(text.decode() for text in next(texts)))
                for view, start in one.known.items()
            }
            mine = tuple(next(images) for _ in one.pairs)
            places = _places(part, positions)
            found[part] = Found(self.generation(part), int(offset), places, mine, more)
        return found

    def _see(self, markers: Mapping[Part, Any]) -> None:
        """Note what was seen."""
        for part, (_, offset, _, _, _) in markers.items():
            self._offsets[part] = int(offset)
        self.seen.whole = True
        self.seen.offset = sum(self._offsets.values()) + len(self._offsets) - 1
        self.seen.at = min(int(at) for _, _, at, _, _ in markers.values())

    def _ask(self, keys: Sequence[str], arguments: Sequence[str | bytes]) -> Any:
        self._wait_out()
        try:
            with asking(self._address):
                found = self._lines.ask(keys, arguments)
        except OnlineError as error:
            raise self._fell_silent(error) from None
        self.seen.up, self._silent = True, None
        return found

    def _wait_out(self) -> None:
        if self._silent is not None and self._watch() < self._silent[0]:
            raise OnlineError(*self._silent[1].problems)  # at once: others wait behind this one

    def _fell_silent(self, error: OnlineError) -> OnlineError:
        self.seen.up = self.seen.whole = False
        self._silent = self._watch() + _SILENCE, error
        return error

    def _cut(self) -> int:
        """How many parts there are; 0 for a store that is one."""
        if self._parts is None:
            self._wait_out()
            try:
                with asking(self._address):
                    found: Any = self._client.get(names.layout(self._project))
            except OnlineError as error:
                raise self._fell_silent(error) from None
            self._parts = int(found.split()[0]) if found else 0
            self._offsets = {}
        return self._parts

    def _check(self, part: Part) -> None:
        """See how the store is cut now, and that the generation that is whole is of these definitions."""
        before, self._parts = self._parts, None
        if self._cut() != before:
            return
        with asking(self._address):
            found: list[Any] = self._client.hmget(names.marker(self._project, part), ["whole", "definitions"])
        whole, told = found
        if whole is None or told is None:
            raise self.not_whole(_NOTHING, part)
        there, wanted = json.loads(told), self._wanted
        if there["layout"] != wanted["layout"] or not wanted["views"].items() <= there["views"].items():
            raise self.not_whole("a state of other definitions", part)
        self._generations[part], self._known[part] = whole.decode(), whole

    def not_whole(self, got: str, part: Part = WHOLE) -> OnlineError:
        """The letter for a store from which nothing can be decided."""
        self.seen.whole = False
        whose = "the log's owner runs with this project; it fills the store by itself"
        if part.of:
            whose = f"the Kafka hosts run with this project; whoever owns partition {part.number} fills it"
        return OnlineError.of(
            "the online store does not hold what decisions need",
            expected="the whole state of the project's definitions",
            got=got,
            where=str(self._address),
            do=f"see that {whose}",
        )

    def _stray(self) -> OnlineError:
        return OnlineError.of(
            "the online store cannot say what an entity's features are",
            expected="all its events in the partition that its key leads to",
            got="events of it in another partition",
            where=str(self._address),
            do="have all who produce key by the entity, and use Kafka's own partitioner, murmur2",
        )


def _places(part: Part, positions: bytes | None) -> dict[str, int]:
    """The last record of each stream's partition."""
    if positions is None or not part.of:
        return {}
    return {f"{stream}/{part.number}": offset - 1 for stream, offset in json.loads(positions).items()}
