"""A window of served vectors: what is held against the training reference.

Made from decision records, or from a frame of features that was replayed from the log. Only a frame still
knows the texts behind its categories, so only there can a category that was never seen be told from a missing
value.
Called by jobs; read ``drift`` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import DataError, Problem
from headwater.models.inputs import Inputs
from headwater.store.decision import Decision

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """Rows that were served from ``start`` until before ``stop``, microseconds UTC.

    Attributes:
        start, stop: its bounds.
        names: of the inputs, length f.
        X: float64, shape (n, f); NaN is null, and a category never seen.
        entities: int64, shape (n,): whose row each is, any numbers.
        scores: float64, shape (n,); None if they are not looked at.
        unseen: text input to which rows, shape (n,), have a category that training never saw; nothing where
            that is not known.
        notes: what could not be taken in, as sentences.
    """

    start: int
    stop: int
    names: tuple[str, ...]
    X: Float64
    entities: Int64
    scores: Float64 | None = None
    unseen: Mapping[str, Bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Every part has a row for each row.

        Raises:
            DataError: the parts differ in length.
        """
        shapes = {"X": self.X.shape, "entities": (len(self.entities), len(self.names))}
        shapes |= {name: (len(rows), len(self.names)) for name, rows in self.unseen.items()}
        if self.scores is not None:
            shapes["scores"] = (len(self.scores), len(self.names))
        if len(set(shapes.values())) > 1:
            raise DataError.of(
                "the parts of a window differ in length",
                expected=f"{len(self.entities):,} rows of {len(self.names)} inputs",
                got=", ".join(f"{name} {shape[0]:,} x {shape[1]}" for name, shape in shapes.items()),
                do="give one entity, one score and one vector for each row",
            )

    def __len__(self) -> int:
        return len(self.entities)

    @classmethod
    def of_frame(
        cls,
        inputs: Inputs,
        frame: pl.DataFrame,
        *,
        entity: str,
        start: int,
        stop: int,
        scores: Float64 | None = None,
    ) -> Self:
        """From features as the log gives them.

        Args:
            inputs: of the artifact.
            frame: view outputs and request columns, with the entity's key.
            entity: the key's column.
            start: the first instant, microseconds.
            stop: the first instant after it.
            scores: shape (n,), if they were scored.

        Raises:
            DataError: a column is missing.
        """
        columns = inputs.columns(frame)
        X = inputs.matrix(frame)
        unseen = {
            name: columns[name].is_not_null().to_numpy() & np.isnan(X[:, inputs.names.index(name)])
            for name in inputs.categories
        }
        return cls(start, stop, inputs.names, X, numbered(frame[entity]), scores, unseen)

    @classmethod
    def of_decisions(
        cls, decisions: Iterable[Decision], names: Sequence[str], *, entity: str, start: int, stop: int
    ) -> Self:
        """From decision records: those decided as of a time from ``start`` until before ``stop``.

        Records that lack an input (of another definition) are left out, and said in ``notes``.

        Raises:
            DataError: a record lacks the entity's key.
        """
        inside = [one for one in decisions if start <= one.time < stop]
        taken = [one for one in inside if one.features.keys() >= set(names)]
        DataError.raise_if(_keyless(taken, entity))
        rows = [[one.features[name] for name in names] for one in taken]
        X = np.array(rows, np.float64).reshape(len(taken), len(names))
        who = pl.Series("who", [str(one.keys[entity]) for one in taken], pl.String)
        lost = len(inside) - len(taken)
        notes = (f"{lost:,} decisions of another definition were left out.",) if lost else ()
        scores = np.array([one.score for one in taken], np.float64)
        return cls(start, stop, tuple(names), X, numbered(who), scores, notes=notes)


def numbered(keys: pl.Series) -> Int64:
    """A number for each key, shape (n,); equal keys have equal numbers."""
    return keys.rank("dense").fill_null(0).to_numpy().astype(np.int64)


def _keyless(decisions: Sequence[Decision], entity: str) -> list[Problem]:
    lacking = sum(entity not in one.keys for one in decisions)
    if not lacking:
        return []
    return [
        Problem(
            "decisions do not say whom they are about",
            expected=f"the key {entity}",
            got=f"{lacking:,} of {len(decisions):,} without it",
            do="name the key of the model's first view",
        )
    ]
