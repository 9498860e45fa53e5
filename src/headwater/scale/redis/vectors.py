"""Feature vectors of states that are fetched: the engine's own reading, of one entity at a time.

::

    keys ──► source ──► images ──► holder (an engine with these keys alone) ──► Vectors ──► x

So a decision is made of the same code, and of the same bits, wherever the state came from. A store in parts
has a holder for each: a part's texts have numbers of its own. Called by ``serving.replica``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from headwater.core.errors import OnlineError
from headwater.definitions.model import Model
from headwater.definitions.view import FeatureView
from headwater.engine.image import Holder, has_texts
from headwater.scale.redis.parts import WHOLE, Part
from headwater.scale.redis.source import Found, Pair, Source, Wanted
from headwater.serving.scoring import Scoring
from headwater.serving.vectors import Moment, Read, Several, Vector, Vectors, Wish

_TRIES = 5  # generations that may come while one thing is read


class _Room:
    """What holds the states of a part, one entity at a time.

    Attributes:
        vectors: read what is held.
        generation: that its texts are of.
        places: that what is held may rest on.
    """

    def __init__(self, views: Sequence[FeatureView]) -> None:
        self._holder = Holder(views)
        self.vectors = Vectors(self._holder.engine)
        self.generation = ""
        self.places: Mapping[str, int] = {}
        self._states = self._holder.engine.states
        self._texts = [name for name, state in self._states.items() if has_texts(state)]

    def known(self) -> dict[str, int]:
        """How many texts of each view that has some."""
        return {view: len(self._states[view].book.texts) for view in self._texts}

    def forget(self, generation: str) -> None:
        """Texts of another generation are to come."""
        self.generation = generation
        self._holder.forget_texts()

    def learn(self, found: Found) -> None:
        """Take over texts, and where the states stand."""
        for view, (start, texts) in found.texts.items():
            self._holder.learn({view: texts[len(self._states[view].book.texts) - start :]})
        self.vectors.engine.offset = found.offset
        self.places = found.places

    def hold(self, states: Sequence[tuple[str, Any, bytes | None]]) -> None:
        """Hold one entity."""
        for view, key, image in states:
            self._holder.hold(view, key, image)


class OnlineVectors(Vectors):
    """Vectors of views whose states are elsewhere.

    Args:
        views: the definitions.
        source: fetches the states.
    """

    def __init__(self, views: Sequence[FeatureView], source: Source) -> None:
        first = _Room(views)
        super().__init__(first.vectors.engine)
        self._source, self._views = source, views
        self._rooms: dict[Part, _Room] = {WHOLE: first}

    @property
    def offset(self) -> int:
        """The last place in the log that is published, as far as was seen."""
        return self._source.seen.offset

    def look(self) -> None:
        """See that the store is whole; raises OnlineError if it is not."""
        self._source.look()

    def read(self, model: Model, keys: Mapping[str, Any], moment: Moment, request: Mapping[str, Any]) -> Read:
        """View outputs and request columns of one entity; raises OnlineError too."""
        with self._holding(keys) as room:
            return replace(room.vectors.read(model, keys, moment, request), places=room.places)

    def read_view(self, view: FeatureView, key: Any, moment: Moment) -> Read:
        """One view's outputs for one key; raises OnlineError too."""
        with self._holding({view.key: key}) as room:
            return replace(room.vectors.read_view(view, key, moment), places=room.places)

    def vector(
        self, scoring: Scoring, keys: Mapping[str, Any], moment: Moment, request: Mapping[str, Any]
    ) -> Vector:
        """The feature vector of one entity; raises OnlineError too."""
        with self._holding(keys) as room:
            return _vector(room, scoring, keys, moment, request)

    def each(self, scoring: Scoring, wishes: Sequence[Wish]) -> Several:
        """The feature vectors of several entities, in one round trip; raises OnlineError too."""
        with self._fetched([keys for keys, _, _ in wishes]) as hold:
            found = [_vector(hold(place), scoring, *wish) for place, wish in enumerate(wishes)]
        X = np.stack([one.x for one in found])
        times, offsets = [one.time for one in found], [one.offset for one in found]
        return Several(X, times, offsets, [one.places for one in found])

    def at_once(self, scoring: Scoring, wishes: Sequence[Wish]) -> None:
        """Never: the states come over the network."""

    @contextmanager
    def _holding(self, keys: Mapping[str, Any]) -> Iterator[_Room]:
        """A room holds the states of one entity."""
        with self._fetched([keys]) as hold:
            yield hold(0)

    @contextmanager
    def _fetched(self, entities: Sequence[Mapping[str, Any]]) -> Iterator[Callable[[int], _Room]]:
        """The states of entities, each part's as of one place: gives what makes its room hold one of them.

        Of all views that have its keys: the newest event of any counts.
        """
        pairs = [
            [(view.name, keys[view.key]) for view in self._views if view.key in keys] for keys in entities
        ]
        for _ in range(_TRIES):
            parts = [self._part(keys) for keys in entities]
            by_part: dict[Part, list[Pair]] = {part: [] for part in parts}
            for part, some in zip(parts, pairs, strict=True):
                by_part[part] += some
            with self._lock:
                rooms = {part: self._room(part) for part in by_part}
                before = {part: room.generation for part, room in rooms.items()}
                wanted = {part: Wanted(some, rooms[part].known()) for part, some in by_part.items()}
            found = self._source.fetch(wanted)
            with self._lock:
                if found is not None and all(
                    found[part].generation == room.generation == before[part] for part, room in rooms.items()
                ):
                    yield self._holds(found, parts, pairs)
                    return
                for part, room in rooms.items():
                    if room.generation != (now := self._source.generation(part)):
                        room.forget(now)
        raise self._source.not_whole("one that is exchanged again and again")

    def _holds(
        self, found: Mapping[Part, Found], parts: Sequence[Part], pairs: Sequence[Sequence[Pair]]
    ) -> Callable[[int], _Room]:
        """Learn what was found; gives what holds an entity by its place."""
        for part, one in found.items():
            self._room(part).learn(one)
        images = {part: iter(one.images) for part, one in found.items()}
        states = [
            [(*pair, next(images[part])) for pair in some] for part, some in zip(parts, pairs, strict=True)
        ]

        def hold(place: int) -> _Room:
            room = self._room(parts[place])
            room.hold(states[place])
            return room

        return hold

    def _room(self, part: Part) -> _Room:
        room = self._rooms.get(part)
        if room is None:
            room = self._rooms[part] = _Room(self._views)
        return room

    def _part(self, keys: Mapping[str, Any]) -> Part:
        """The part that holds an entity; all its keys lie in one."""
        if self._source.is_one():
            return WHOLE
        parts = {self._source.part(key) for key in keys.values()}
        if len(parts) == 1:
            return parts.pop()
        raise OnlineError.of(
            "an entity's keys lie in several parts of the online store",
            expected="a model whose views have one key, as Kafka's hosts ask for",
            got=", ".join(keys),
            where="online store",
            do="decide by this model where the log is embedded",
        )


def _vector(
    room: _Room,
    scoring: Scoring,
    keys: Mapping[str, Any],
    moment: Moment,
    request: Mapping[str, Any],
) -> Vector:
    """Of what a room holds."""
    found = room.vectors.vector(scoring, keys, moment, request)
    return replace(found, places=room.places) if room.places else found
