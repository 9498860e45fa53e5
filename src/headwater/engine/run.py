"""The live and replay host: batches of a log in, features out, readings that change nothing.

``Engine`` drives one ``ViewState`` per feature view. It knows no log and no clock: whoever has batches
calls ``apply``, whoever wants values calls ``read``. Called by ``serving`` and ``training``; the as-of
host for a spine is ``engine.asof``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.definitions.view import FeatureView
from headwater.engine import snapshot
from headwater.engine.kernels.layout import Float64
from headwater.engine.kernels.process import NEWEST
from headwater.engine.keys import entity_keys
from headwater.engine.sections import Sections
from headwater.engine.state import ViewState


class Engine:
    """Keeps the features of some views fresh.

    Args:
        views: the feature views; their streams may differ, and so may their keys.
        shards: parts that the keys are cut into, one thread each; by default one per processor.

    Example:
        >>> import numpy as np, polars as pl
        >>> import headwater as hw
        >>> payments = hw.Stream("payments", schema={"at": pl.Datetime("us", "UTC"), "who": pl.Int64,
        ...                                          "amount": pl.Float64}, time="at")
        >>> view = hw.FeatureView("v", stream=payments, key="who",
        ...                       features={"spent": hw.sum("amount", over="7d")})
        >>> engine = Engine([view])
        >>> frame = pl.DataFrame({"at": [0, 1], "who": [1, 1], "amount": [2.0, 3.0]},
        ...                      schema=payments.schema)
        >>> places = np.arange(2)
        >>> batch = Batch("payments", places, places, places, frame)
        >>> engine.apply(batch, emit=True)["v"]["spent_7d"].to_list()
        [2.0, 5.0]
        >>> engine.read("v", [1, 2], 1)["spent_7d"].to_list()
        [5.0, 0.0]
    """

    def __init__(self, views: Sequence[FeatureView], *, shards: int | None = None) -> None:
        self.states = {view.name: ViewState(view, shards=shards) for view in views}
        self.offset = -1

    def apply(self, batch: Batch, *, emit: bool = False) -> dict[str, pl.DataFrame]:
        """Take in a batch of one stream.

        Args:
            batch: events behind all those taken in before.
            emit: also give the features after each event, as of the newest event time of its key.

        Returns:
            With ``emit``, for each view of the stream one row per event, in order; else an empty dict.
        """
        cells = self.take(batch, emit=emit)
        return {name: self.states[name].frame(list(found)) for name, found in cells.items()} if emit else {}

    def take(self, batch: Batch, *, emit: bool) -> dict[str, Float64]:
        """:meth:`apply`, with each view's cells in place of a frame; see ``ViewState.take``."""
        states = {name: one for name, one in self.states.items() if one.view.stream.name == batch.stream}
        cells = {name: state.take(batch, emit=emit) for name, state in states.items()}
        if len(batch):
            self.offset = max(self.offset, int(batch.offset[-1]))
        return cells

    def read(
        self, view: str, keys: Sequence[Any] | pl.Series, t: int | Sequence[int], *, offset: int = NEWEST
    ) -> pl.DataFrame:
        """The features of each key as of ``t`` (one for all, or one each). Changes nothing.

        Raises:
            DataError: no such view, or a time that reaches behind what the state keeps.
        """
        state = self.states.get(view)
        if state is None:
            raise DataError.of(
                "no such feature view",
                expected=" or ".join(sorted(self.states)),
                got=repr(view),
                do="name a view of the project",
            )
        series = entity_keys(keys, state.view.stream.schema[state.view.key], state.view.key)
        times = np.broadcast_to(np.asarray(t, dtype=np.int64), (len(series),)).copy()
        return state.read(series, times, offset=offset)

    def snapshot(self) -> bytes:
        """The whole state and its offset, to be given to ``restore``."""
        return b"".join(self.pieces())

    def let_go(self) -> None:
        """Free what it holds without holding up other threads; it is of no use afterwards."""
        for state in self.states.values():
            state.book.let_go()
            if state.keys.book is not None:
                state.keys.book.let_go()

    def pieces(self) -> Iterator[memoryview | bytes]:
        """The snapshot part after part, not copied: nothing may be applied before the last one is taken."""
        return snapshot.pieces(self.states, self.offset)

    @classmethod
    def restore(cls, views: Sequence[FeatureView], blob: bytes) -> Engine:
        """An engine that goes on where the snapshot was taken.

        Raises:
            StoreError: the snapshot is damaged, or was taken of other definitions.
        """
        return cls.of(views, snapshot.parse(blob))

    @classmethod
    def of(cls, views: Sequence[FeatureView], found: Sections) -> Engine:
        """An engine that takes over what was read from a snapshot.

        Raises:
            StoreError: the snapshot was taken of other definitions.
        """
        states, offset = snapshot.load(views, found)
        engine = cls.__new__(cls)
        engine.states = states
        engine.offset = offset
        return engine
