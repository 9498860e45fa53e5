"""Feature vectors of states that are fetched: the engine's own reading, of one entity at a time.

::

    keys ──► source ──► images ──► holder (an engine with these keys alone) ──► Vectors ──► x

So a decision is made of the same code, and of the same bits, wherever the state came from. Called by
``serving.replica``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from headwater.definitions.model import Model
from headwater.definitions.view import FeatureView
from headwater.engine.image import Holder, has_texts
from headwater.scale.redis.source import Found, Source
from headwater.serving.scoring import Scoring
from headwater.serving.vectors import Moment, Read, Several, Vector, Vectors, Wish

_TRIES = 5  # generations that may come while one thing is read


class OnlineVectors(Vectors):
    """Vectors of views whose states are elsewhere.

    Args:
        views: the definitions.
        source: fetches the states.
    """

    def __init__(self, views: Sequence[FeatureView], source: Source) -> None:
        holder = Holder(views)
        super().__init__(holder.engine)
        self._holder, self._source, self._views = holder, source, views
        self._generation = ""
        self._texts = [name for name, state in holder.engine.states.items() if has_texts(state)]

    @property
    def offset(self) -> int:
        """The last place in the log that is published, as far as was seen."""
        return self._source.seen.offset

    def look(self) -> None:
        """See that the store is whole; raises OnlineError if it is not."""
        self._source.look()

    def read(self, model: Model, keys: Mapping[str, Any], moment: Moment, request: Mapping[str, Any]) -> Read:
        """View outputs and request columns of one entity; raises OnlineError too."""
        with self._holding(keys):
            return super().read(model, keys, moment, request)

    def read_view(self, view: FeatureView, key: Any, moment: Moment) -> Read:
        """One view's outputs for one key; raises OnlineError too."""
        with self._holding({view.key: key}):
            return super().read_view(view, key, moment)

    def vector(
        self, scoring: Scoring, keys: Mapping[str, Any], moment: Moment, request: Mapping[str, Any]
    ) -> Vector:
        """The feature vector of one entity; raises OnlineError too."""
        with self._holding(keys):
            return self._vector(scoring, keys, moment, request)

    def each(self, scoring: Scoring, wishes: Sequence[Wish]) -> Several:
        """The feature vectors of several entities, in one round trip; raises OnlineError too."""
        with self._fetched([keys for keys, _, _ in wishes]) as hold:
            found = []
            for place, wish in enumerate(wishes):
                hold(place)
                found.append(self._vector(scoring, *wish))
        X = np.stack([one.x for one in found])
        return Several(X, [one.time for one in found], [one.offset for one in found])

    def at_once(self, scoring: Scoring, wishes: Sequence[Wish]) -> None:
        """Never: the states come over the network."""

    def _vector(
        self, scoring: Scoring, keys: Mapping[str, Any], moment: Moment, request: Mapping[str, Any]
    ) -> Vector:
        """Of what is held."""
        if self._gather(scoring) is not None:
            return super().vector(scoring, keys, moment, request)
        read = super().read(scoring.model, keys, moment, request)
        return Vector(scoring.vector(read.values), read.time, read.offset)

    @contextmanager
    def _holding(self, keys: Mapping[str, Any]) -> Iterator[None]:
        """The engine holds the states of one entity."""
        with self._fetched([keys]) as hold:
            hold(0)
            yield

    @contextmanager
    def _fetched(self, entities: Sequence[Mapping[str, Any]]) -> Iterator[Callable[[int], None]]:
        """The states of entities, all as of one offset: gives what makes the engine hold one of them.

        Of all views that have its keys: the newest event of any counts.
        """
        pairs = [
            [(view.name, keys[view.key]) for view in self._views if view.key in keys] for keys in entities
        ]
        for _ in range(_TRIES):
            with self._lock:
                generation, known = self._generation, self._known()
            found = self._source.fetch([pair for some in pairs for pair in some], known)
            with self._lock:
                if found.generation == self._generation == generation:
                    self._learn(found)
                    images = iter(found.images)
                    states = [[(*pair, next(images)) for pair in some] for some in pairs]
                    yield partial(self._hold, states)
                    return
                if found.generation != self._generation:
                    self._generation = found.generation
                    self._holder.forget_texts()
        raise self._source.not_whole("one that is exchanged again and again")

    def _learn(self, found: Found) -> None:
        for view, (start, texts) in found.texts.items():
            self._holder.learn({view: texts[len(self.engine.states[view].book.texts) - start :]})
        self.engine.offset = found.offset

    def _hold(self, states: Sequence[Sequence[tuple[str, Any, bytes | None]]], place: int) -> None:
        for view, key, image in states[place]:
            self._holder.hold(view, key, image)

    def _known(self) -> dict[str, int]:
        """How many texts of each view that has some."""
        return {view: len(self.engine.states[view].book.texts) for view in self._texts}
