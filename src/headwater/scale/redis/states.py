"""The states that are published: held by an engine, and copied while it stands still.

::

    engine ── shut ──► images of some keys, texts that are new, place ──► Copied ──► pieces ──► Redis
           └─ open ──► events are taken in, between two copies

A copy is as of one place of the log. All keys of a view are copied a slice at a time, so that events hardly
wait. Held by whoever publishes, copied by ``writing``. Read ``engine.image`` for what a state's image is, and
``fenced`` for how copies are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from headwater.definitions.view import FeatureView
from headwater.engine.image import images
from headwater.scale.redis import names
from headwater.scale.redis.moved import Keys
from headwater.scale.redis.parts import Part
from headwater.serving.vectors import Vectors

SLICE = 1_000  # keys that are copied at once while a generation is filled
PIECE = 8 << 20  # bytes that are written at once

Item = tuple[str, bytes, bytes, int]  # view, field, image, bucket
Positions = Mapping[str, int]  # stream to the offset of the next record


@dataclass(frozen=True, slots=True)
class Held:
    """What is published.

    Attributes:
        name: of the project.
        views: whose states.
        vectors: the engine.
        positions: of a part, each stream to the offset of the next record; asked while the engine is shut.
    """

    name: str
    views: Sequence[FeatureView]
    vectors: Vectors
    positions: Callable[[], Positions] | None = None

    def place(self) -> tuple[int, Positions]:
        """Where the engine stands, while it is shut: one number that only grows, and a part's positions.

        The number is the last offset; of a part, the records that it has taken in, less one.
        """
        if self.positions is None:
            return self.vectors.offset, {}
        found = dict(self.positions())
        return sum(found.values()) - 1, found

    def images(self, view: str, keys: Keys, part: Part) -> Iterator[Item]:
        """The states of some keys, while the engine is shut."""
        state = self.vectors.engine.states[view]
        column = pl.Series(list(keys.values()), dtype=state.keys.dtype)
        for name, image in zip(keys, images(state, column), strict=True):
            if image is not None:
                yield view, name, image, names.number_of(name, part)

    def slices(self, view: str) -> Iterator[Keys]:
        """All keys that a view has now, so many at a time that events hardly wait."""
        with self.vectors.shut():
            keys = self.vectors.engine.states[view].keys.keys()
        for first in range(0, len(keys), SLICE):
            yield {names.field(key): key for key in keys[first : first + SLICE].to_list()}

    def texts(self, written: Mapping[str, int]) -> dict[str, list[str]]:
        """The texts behind the ones that were written, while the engine is shut."""
        found = {}
        for name, state in self.vectors.engine.states.items():
            more = state.book.texts[written.get(name, 0) :]
            if more:
                found[name] = more
        return found


@dataclass(frozen=True, slots=True)
class Copied:
    """States as of one place.

    Attributes:
        items: the states.
        texts: of each view, those behind the ones that were written.
        offset, positions: of :meth:`Held.place`.
        nanoseconds: when they were copied.
    """

    items: Sequence[Item]
    texts: Mapping[str, Sequence[str]]
    offset: int
    positions: Positions
    nanoseconds: int


def reached(positions: Positions, before: Positions) -> bool:
    """Whether a state has come up to what was published of the part before."""
    return all(positions.get(stream, 0) >= offset for stream, offset in before.items())


def pieces(items: Sequence[Item]) -> Iterator[list[Item]]:
    """At least one piece, each of PIECE bytes or a single state that is larger."""
    piece: list[Item] = []
    size = 0
    for item in items:
        if piece and size + len(item[2]) > PIECE:
            yield piece
            piece, size = [], 0
        piece.append(item)
        size += len(item[2])
    yield piece
