"""Feature vectors of states that are fetched: the engine's own reading, of one entity at a time.

::

    keys ──► source ──► images ──► holder (an engine with these keys alone) ──► Vectors ──► x

So a decision is made of the same code, and of the same bits, wherever the state came from. Called by
``serving.replica``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from headwater.definitions.model import Model
from headwater.definitions.view import FeatureView
from headwater.engine.image import Holder, has_texts
from headwater.scale.redis.source import Found, Pair, Source
from headwater.serving.scoring import Scoring
from headwater.serving.vectors import Moment, Read, Vector, Vectors

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
            if self._gather(scoring) is not None:
                return super().vector(scoring, keys, moment, request)
            read = super().read(scoring.model, keys, moment, request)
            return Vector(scoring.vector(read.values), read.time, read.offset)

    @contextmanager
    def _holding(self, keys: Mapping[str, Any]) -> Iterator[None]:
        """The engine holds these keys, in all views that have them: the newest event of any counts."""
        pairs = [(view.name, keys[view.key]) for view in self._views if view.key in keys]
        for _ in range(_TRIES):
            with self._lock:
                generation, known = self._generation, self._known()
            found = self._source.fetch(pairs, known)
            with self._lock:
                if found.generation == self._generation == generation:
                    self._hold(pairs, found)
                    yield
                    return
                if found.generation != self._generation:
                    self._generation = found.generation
                    self._holder.forget_texts()
        raise self._source.not_whole("one that is exchanged again and again")

    def _hold(self, pairs: Sequence[Pair], found: Found) -> None:
        for view, (start, texts) in found.texts.items():
            self._holder.learn({view: texts[len(self.engine.states[view].book.texts) - start :]})
        for (view, key), image in zip(pairs, found.images, strict=True):
            self._holder.hold(view, key, image)
        self.engine.offset = found.offset

    def _known(self) -> dict[str, int]:
        """How many texts of each view that has some."""
        return {view: len(self.engine.states[view].book.texts) for view in self._texts}
