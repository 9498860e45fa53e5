"""The newest event time that each key has seen: what makes an event late, and what a refresh is as of.

A refresh caused by an event rests on the newest event time seen so far of its entity, whatever view or
stream it came from (design note 0001). ``live`` reads that from the engine's state; here it is followed along
the log, many events at once, with the same result. Called by ``timeline`` and ``monitoring.late``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.view import FeatureView
from headwater.engine.keys import KeyIndex

Int64 = npt.NDArray[np.int64]

NEVER = -(2**63)


class Frontiers:
    """Follows the log, stretch by stretch.

    Args:
        views: of the whole project, for an event of any of them is news of its key.

    Example:
        >>> import headwater as hw
        >>> visits = hw.Stream("visits", {"who": pl.Int64, "time": pl.Datetime("us", "UTC")})
        >>> seen = Frontiers([hw.FeatureView("v", visits, "who", {"n": hw.count()})])
        >>> places, times = np.arange(3), np.array([5, 9, 7])
        >>> frame = pl.DataFrame({"who": [1, 1, 1]})
        >>> before = seen.take([Batch("visits", places, places, times, frame)])
        >>> (before["visits"]["who"][1:] - times[1:]).tolist()  # the third came 2 microseconds late
        [-4, 2]
    """

    def __init__(self, views: Iterable[FeatureView]) -> None:
        self._feeds = {(view.stream.name, view.key) for view in views}
        self._newest: dict[str, Int64] = {}
        self._index: dict[str, KeyIndex] = {
            view.key: KeyIndex(view.stream.schema[view.key]) for view in reversed(list(views))
        }

    @property
    def feeds(self) -> frozenset[tuple[str, str]]:
        """Stream and key column of each view."""
        return frozenset(self._feeds)

    def take(self, batches: Sequence[Batch]) -> Mapping[str, Mapping[str, Int64]]:
        """Take in a stretch of the log.

        Args:
            batches: its events, at most one batch for each stream, behind those taken in before.

        Returns:
            For each stream and each key column in its batch the newest event time that each event's key had
            seen before it, int64 microseconds, shape (n,); ``NEVER`` where it had seen none.
        """
        found: dict[str, dict[str, Int64]] = {batch.stream: {} for batch in batches}
        for column in self._index:
            mine = [batch for batch in batches if column in batch.frame.columns and len(batch)]
            if mine:
                before = np.split(self._column(column, mine), np.cumsum([len(batch) for batch in mine])[:-1])
                for batch, part in zip(mine, before, strict=True):
                    found[batch.stream][column] = part
        return found

    def _column(self, column: str, batches: Sequence[Batch]) -> Int64:
        """The newest time before each event, for one key column, batch after batch."""
        ids = np.concatenate([self._ids(column, batch) for batch in batches])
        feeding = np.repeat([(b.stream, column) in self._feeds for b in batches], [len(b) for b in batches])
        time = np.where(feeding & (ids >= 0), np.concatenate([batch.time for batch in batches]), NEVER)
        newest = self._room(column)
        order = np.argsort(np.concatenate([batch.offset for batch in batches]), kind="stable")
        ordered = pl.DataFrame({"id": ids[order], "time": time[order]})
        inside = ordered.select(pl.col("time").cum_max().shift(1, fill_value=NEVER).over("id"))["time"]
        before = np.empty(len(ids), dtype=np.int64)
        before[order] = inside.to_numpy()
        before = np.where(ids >= 0, np.maximum(before, newest[ids]), NEVER)
        np.maximum.at(newest, ids[ids >= 0], time[ids >= 0])
        return before

    def _ids(self, column: str, batch: Batch) -> Int64:
        keys = batch.frame.get_column(column)
        ids = np.full(len(keys), -1, dtype=np.int64)
        there = keys.is_not_null().to_numpy()
        ids[there] = self._index[column].number(keys.filter(there), add=True)
        return ids

    def _room(self, column: str) -> Int64:
        """The newest times by number of key, grown to hold all keys."""
        held = self._newest.get(column, np.empty(0, dtype=np.int64))
        count = max(self._index[column].count, 1)
        if len(held) < count:
            grown = np.full(max(count, 2 * len(held)), NEVER, dtype=np.int64)
            grown[: len(held)] = held
            self._newest[column] = held = grown
        return held


def newest_of(model: Model, before: Mapping[str, Int64]) -> Int64:
    """The newest time that each event's entity had seen: over those of the model's keys that it names."""
    newest: Int64 = np.maximum.reduce([before[key] for key in model.keys if key in before])
    return newest


def refreshing(model: Model) -> frozenset[str]:
    """Streams of the model's views whose events name all its keys and bring all its request columns."""
    observed = model.observe.stream.name if isinstance(model.observe, Each) else None
    return frozenset(
        view.stream.name
        for view in model.features
        if all(key in view.stream.schema for key in model.keys)
        and (not model.request or view.stream.name == observed)
    )
