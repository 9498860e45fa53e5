"""The state of single keys as bytes: taken out of one engine, held by another that has that key alone.

::

    engine of the owner ──► images of the keys that moved ──► bytes ──► elsewhere ──► ``Holder`` ──► readings

A holder is an engine like any other: what reads it, ``Single`` and all that stands on it, is the same code.
Texts are codes in an image, so whoever hands images on hands on the view's codebook too. Laid by
``kernels.image``; called by ``scale.redis``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import StoreError
from headwater.definitions.view import FeatureView
from headwater.engine.kernels.layout import CODE
from headwater.engine.run import Engine
from headwater.engine.state import ViewState


def images(state: ViewState, keys: pl.Series) -> list[bytes | None]:
    """The image of each key; None for one that the view has not seen. Nothing may be applied meanwhile.

    Args:
        state: of a view.
        keys: in the stream's type.
    """
    numbers = state.keys.number(keys, add=False)
    found: list[bytes | None] = [None] * len(numbers)
    shards = len(state.memories)
    for s, memory in enumerate(state.memories):
        rows = np.flatnonzero((numbers >= 0) & (numbers % shards == s) & (numbers // shards < memory.keys))
        if not len(rows):
            continue
        laid, ends = memory.images(numbers[rows] // shards)
        start = 0
        for row, end in zip(rows.tolist(), ends.tolist(), strict=True):
            found[row] = laid[start:end].tobytes()
            start = end
    return found


def has_texts(state: ViewState) -> bool:
    """Whether images of a view name texts by their numbers in its codebook."""
    return any(
        column.kind == CODE and column.dtype in (pl.String, pl.Categorical) for column in state.plan.columns
    )


class Holder:
    """An engine that holds, of each view, one key at a time.

    Args:
        views: the feature views.

    Attributes:
        engine: what it holds, to be read as any engine.

    Example:
        >>> import headwater as hw
        >>> from headwater.core.batch import Batch
        >>> payments = hw.Stream("payments", schema={"at": pl.Datetime("us", "UTC"), "who": pl.Int64,
        ...                                          "amount": pl.Float64}, time="at")
        >>> view = hw.FeatureView("v", stream=payments, key="who",
        ...                       features={"spent": hw.sum("amount", over="7d")})
        >>> owner, places = Engine([view]), np.arange(2)
        >>> frame = pl.DataFrame({"at": [0, 1], "who": [1, 5], "amount": [2.0, 3.0]},
        ...                      schema=payments.schema)
        >>> _ = owner.apply(Batch("payments", places, places, places, frame))
        >>> holder = Holder([view])
        >>> holder.hold("v", 5, images(owner.states["v"], pl.Series([5]))[0])
        >>> holder.engine.read("v", [5, 1], 1)["spent_7d"].to_list()
        [3.0, 0.0]
    """

    def __init__(self, views: Sequence[FeatureView]) -> None:
        self.engine = Engine(views, shards=1)

    def hold(self, view: str, key: Any, image: bytes | None) -> None:
        """Hold this key and no other.

        Args:
            view: its name.
            key: in the stream's type.
            image: its state; None for a key that has seen nothing.

        Raises:
            StoreError: the bytes are no image of this view.
        """
        state = self.engine.states[view]
        (memory,) = state.memories
        words = None if image is None else _words(state, image)
        memory.hold(words)
        state.keys.alone(None if words is None else key)

    def forget_texts(self) -> None:
        """Texts of other numbers are to come."""
        for state in self.engine.states.values():
            state.book.let_go()

    def learn(self, texts: Mapping[str, Iterable[str]]) -> None:
        """Add texts behind those that are known.

        Args:
            texts: of each view, in the order of their codes.
        """
        for view, more in texts.items():
            book = self.engine.states[view].book
            for text in more:
                book.code(text, add=True)


def _words(state: ViewState, image: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The image as words, once its length is right."""
    plan = state.plan
    rows = 1 + len(plan.first_ints) + len(plan.first_reals)
    if len(image) % 8 == 0 and len(image) >= 8 * (rows + 1):
        words = np.frombuffer(image, dtype=np.int64)
        if len(words) == rows + int(words[0]):
            return words
    raise StoreError.of(
        "the state of a key cannot be read",
        expected=f"the words of an image, at least {rows + 1}",
        got=f"{len(image)} bytes",
        where=state.view.name,
        do="publish it again: start the server that owns the log anew",
    )
