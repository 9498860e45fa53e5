"""The entities that events touched, with their keys and request columns: a frame, or a few plain values.

Made by ``fresh``; read by ``vectors`` and by whoever is told of fresh scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

Int64 = npt.NDArray[np.int64]


class Entities(Protocol):
    """n entities of one model."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, rows: Int64) -> Entities:
        """Some of them."""
        ...

    def column(self, name: str) -> list[Any]:
        """A key or request column as Python values."""
        ...


@dataclass(frozen=True, slots=True)
class Framed:
    """Entities out of a frame of events."""

    rows: pl.DataFrame

    def __len__(self) -> int:
        return self.rows.height

    def __getitem__(self, rows: Int64) -> Framed:
        return Framed(self.rows[rows])

    def column(self, name: str) -> list[Any]:
        """A key or request column as Python values."""
        return self.rows.get_column(name).to_list()


@dataclass(frozen=True, slots=True)
class Listed:
    """A few entities out of a handful of events."""

    columns: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, rows: Int64) -> Listed:
        places = rows.tolist()
        return Listed({name: [values[row] for row in places] for name, values in self.columns.items()})

    def column(self, name: str) -> list[Any]:
        """A key or request column as Python values."""
        return list(self.columns[name])
