"""A batch: events of one stream in the order of the log, as columns.

The unit that the log hands out and the engine takes in. How events are cut into batches never changes
a value. Made by ``log``; consumed by ``engine.run``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one stream, ascending by offset.

    Attributes:
        stream: the stream's name.
        offset: int64, shape (n,), strictly ascending places in the log.
        arrival: int64 microseconds, shape (n,), ascending: when the log accepted each event.
        time: int64 microseconds, shape (n,): when each event happened.
        frame: n rows, exactly the columns of the stream's schema.
    """

    stream: str
    offset: Int64
    arrival: Int64
    time: Int64
    frame: pl.DataFrame

    def __len__(self) -> int:
        return len(self.offset)

    def __getitem__(self, rows: slice) -> Batch:
        return Batch(self.stream, self.offset[rows], self.arrival[rows], self.time[rows], self.frame[rows])
