"""Repeated events in a frame: the same id with the same content changes nothing, other content is refused.

The rule of the log, for frames that never went through one. Called by ``engine.batches``.
"""

from __future__ import annotations

import polars as pl

from headwater.core.errors import ConflictError
from headwater.definitions.stream import Stream
from headwater.engine.kernels.layout import Int64


def repeated(ids: pl.Series) -> bool:
    """Whether an id comes twice."""
    ascending = ids.set_sorted() if ids.is_sorted() else ids  # then there is nothing to hash
    return ascending.n_unique() < len(ids)


def first_of_each(frame: pl.DataFrame, stream: Stream) -> Int64:
    """The rows of ``frame`` that hold an id for the first time, ascending.

    Raises:
        ConflictError: an id comes again with other content.
    """
    ids = frame[stream.id or ""]
    contents = frame.unique().get_column(ids.name)
    if contents.n_unique() != len(contents):
        torn = contents.filter(contents.is_duplicated()).unique(maintain_order=True)
        shown = "an id" if ids.name in stream.personal else repr(torn[0])
        raise ConflictError.of(
            "an event id comes again with other content",
            expected="one content for each id",
            got=f"{len(torn)} such ids, the first is {shown}",
            where=f"events.{stream.name}.{ids.name}",
            do="give each event its own id, or keep only the right one",
        )
    return ids.is_first_distinct().arg_true().cast(pl.Int64).to_numpy()
