"""The other half: the states of the keys of a decision, fetched in one round trip, all as of one offset.

::

    keys ──► READ ──► marker, buckets, texts ──► whole? nothing lost? ──► images
                                                   └─ no: OnlineError, never an empty feature

Safe to share between threads. Called by ``vectors``; the edges ask it how fresh the store is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.core.errors import OnlineError
from headwater.definitions.view import FeatureView
from headwater.scale.redis import names, scripts
from headwater.scale.redis.connection import Address, asking
from headwater.scale.redis.line import Lines

_TRIES = 200  # looks at a store in which a large write is half done
_BETWEEN = 0.005  # seconds
_SILENCE = 500_000_000  # nanoseconds that a Redis which does not answer is not asked again

Pair = tuple[str, Any]  # a view and a key


@dataclass(frozen=True, slots=True)
class Found:
    """What was fetched.

    Attributes:
        generation: that it is of.
        offset: the last place in the log that it rests on.
        images: the state of each pair; None for a key that was never seen.
        texts: of each view, the number of the first and those behind the known ones.
    """

    generation: str
    offset: int
    images: tuple[bytes | None, ...]
    texts: Mapping[str, tuple[int, tuple[str, ...]]]


@dataclass(slots=True)
class Seen:
    """What was seen last, for whoever measures.

    Attributes:
        up: whether Redis answered.
        whole: whether it held a whole state of these definitions.
        offset: the last place in the log that is published.
        at: when the owner said so, by its clock, microseconds UTC; 0 before the first.
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
        self._marker = names.marker(project)
        self._project = project
        self._wanted = json.loads(names.definitions(views))
        self._watch = stopwatch
        self._client = address.client()
        self._lines = Lines(self._client, scripts.READ)
        self._silent: tuple[int, OnlineError] | None = None  # until when, and why
        self._generation = ""  # the one that is known to be of these definitions

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def look(self) -> None:
        """See whether the store is whole, and how fresh.

        Raises:
            OnlineError: it is not.
        """
        self.fetch((), {})

    def fetch(self, pairs: Sequence[Pair], known: Mapping[str, int]) -> Found:
        """The states of some keys.

        Args:
            pairs: whose.
            known: of each view that has texts, how many of this generation's are known.

        Raises:
            OnlineError: Redis does not answer, or what it holds is not whole, or of other definitions.
        """
        started = self._watch()
        try:
            found = self._fetch(pairs, known)
        except OnlineError:
            self.seen.refused += bool(pairs)
            raise
        if pairs:
            self.seen.fetches += 1
            self.seen.nanoseconds += self._watch() - started
        return found

    def _fetch(self, pairs: Sequence[Pair], known: Mapping[str, int]) -> Found:
        fields = [names.field(key) for _, key in pairs]
        for _ in range(_TRIES):
            generation = self._generation
            of = self._project, generation
            keys = [self._marker]
            keys += [
                names.bucket(*of, view, names.number_of(name))
                for (view, _), name in zip(pairs, fields, strict=True)
            ]
            keys += [names.texts(*of, view) for view in known]
            answer = self._ask(keys, [str(len(fields)), *fields, *map(str, known.values())])
            whole, offset, at, moving = answer[0]
            if whole is None or offset is None:
                raise self.not_whole("no state, or one that is being filled")
            if whole.decode() != generation:
                self._check()
                if known:
                    return Found(self._generation, -1, (), {})  # what is known is of another generation
                continue
            if moving is not None:
                time.sleep(_BETWEEN)
                continue
            self.seen.whole, self.seen.offset, self.seen.at = True, int(offset), int(at)
            return self._made(generation, int(offset), answer[1:], known, len(pairs))
        raise self.not_whole("a large write that does not end")

    def _made(
        self, generation: str, offset: int, rest: Sequence[Any], known: Mapping[str, int], pairs: int
    ) -> Found:
        if any(there is None for there, _ in rest[:pairs]):
            raise self.not_whole("a part that is gone")
        more = {
            view: (start, tuple(text.decode() for text in found))
            for (view, start), found in zip(known.items(), rest[pairs:], strict=True)
        }
        return Found(generation, offset, tuple(image for _, image in rest[:pairs]), more)

    def _ask(self, keys: Sequence[str], arguments: Sequence[str | bytes]) -> Any:
        if self._silent is not None and self._watch() < self._silent[0]:
            raise OnlineError(*self._silent[1].problems)  # at once: others wait behind this one
        try:
            with asking(self._address):
                found = self._lines.ask(keys, arguments)
        except OnlineError as error:
            self.seen.up = self.seen.whole = False
            self._silent = self._watch() + _SILENCE, error
            raise
        self.seen.up, self._silent = True, None
        return found

    def _check(self) -> None:
        """See that the generation that is whole is of these definitions."""
        with asking(self._address):
            found: list[Any] = self._client.hmget(self._marker, ["whole", "definitions"])
        whole, told = found
        if whole is None or told is None:
            raise self.not_whole("no state, or one that is being filled")
        there, wanted = json.loads(told), self._wanted
        if there["layout"] != wanted["layout"] or not wanted["views"].items() <= there["views"].items():
            raise self.not_whole("a state of other definitions")
        self._generation = whole.decode()

    def not_whole(self, got: str) -> OnlineError:
        """The letter for a store from which nothing can be decided."""
        self.seen.whole = False
        return OnlineError.of(
            "the online store does not hold what decisions need",
            expected="the whole state of the project's definitions",
            got=got,
            where=str(self._address),
            do="see that the log's owner runs with this project; it fills the store by itself",
        )
