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
    """Entities out of a frame of events: the rows at ``places``, or all of them."""

    frame: pl.DataFrame
    places: Int64 | None = None

    def __len__(self) -> int:
        return self.frame.height if self.places is None else len(self.places)

    def __getitem__(self, rows: Int64) -> Framed:
        return Framed(self.frame, rows if self.places is None else self.places[rows])

    def column(self, name: str) -> list[Any]:
        """A key or request column as Python values."""
        values = self.frame.get_column(name).to_list()
        return values if self.places is None else [values[place] for place in self.places.tolist()]

    def rows(self, names: Sequence[str]) -> pl.DataFrame:
        """Some columns as a frame."""
        found = self.frame.select(names)
        return found if self.places is None else found[self.places]


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
