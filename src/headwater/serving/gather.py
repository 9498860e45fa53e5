"""From the engine's cells to feature vectors, for one entity or a thousand: no value becomes a Python object.

::

    view a   cells x n  ─┐ numbers ──► columns of X          what is derived is worked out from X,
    view b   cells x n  ─┤ counts  ──►    "                  request columns are put in row by row
    view c   cells x n  ─┘ codes   ──►    "

The bits are those of ``Inputs.rows`` on what ``Single.read`` gives; tests hold them equal. For models whose
every input is a number, a count or a Boolean; the others go that way. Called by ``vectors``, under its lock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from headwater.core.scalar import Scalar
from headwater.engine.kernels import layout as at
from headwater.engine.single import Single
from headwater.engine.values import CODE, COUNT, NUMBER, kind_of
from headwater.serving.scoring import Scoring

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


class Gather:
    """Reads the feature vectors of one model. Use :meth:`of`.

    Args:
        single: the engine's short way.
        scoring: the model.
        sources: for each kind of cell the places in X and the rows of all views' cells.
        derived: place in X, function, and the inputs that it reads with their places.
    """

    def __init__(
        self,
        single: Single,
        scoring: Scoring,
        sources: Mapping[str, tuple[Int64, Int64]],
        derived: Sequence[tuple[int, Scalar]],
        read: Mapping[str, int],
    ) -> None:
        self._single = single
        self._sources = sources
        self._derived = derived
        self._read = read
        inputs = scoring.artifact.inputs
        self._width = len(inputs.names)
        self._request = [(name, inputs.names.index(name)) for name in scoring.model.request]
        self._views: list[tuple[str, str, slice]] = []
        start = 0
        for view in scoring.model.features:
            stop = start + len(single.plan(view.name).tables.cells)
            self._views.append((view.name, view.key, slice(start, stop)))
            start = stop
        self._cells = start

    @classmethod
    def of(cls, single: Single, scoring: Scoring) -> Self | None:
        """For a model; None if one of its inputs is neither number, count nor Boolean."""
        inputs, model = scoring.artifact.inputs, scoring.model
        place_of = {name: place for place, name in enumerate(inputs.names)}
        derived = inputs.arithmetic()
        if inputs.categories or derived is None or not place_of.keys() >= inputs.types.keys():
            return None
        found: dict[str, list[tuple[int, int]]] = {NUMBER: [], COUNT: [], CODE: []}
        start = 0
        for view in model.features:
            plan = single.plan(view.name)
            for output, row, kind in zip(plan.outputs, plan.rows, plan.kinds, strict=True):
                cell = kind_of(int(plan.tables.cells[row, at.C_OP]), kind, output.dtype)
                if cell is None:
                    return None
                found[cell].append((place_of[output.name], start + row))
            start += len(plan.tables.cells)
        sources = {
            cell: (np.array([place for place, _ in pairs]), np.array([row for _, row in pairs]))
            for cell, pairs in found.items()
            if pairs
        }
        functions, roots = derived
        return cls(
            single,
            scoring,
            sources,
            [(place_of[name], value) for name, value in functions.items()],
            {name: place_of[name] for name in roots},
        )

    def __call__(
        self, keys: Mapping[str, Sequence[Any]], time: Sequence[int], request: Mapping[str, Sequence[Any]]
    ) -> Float64:
        """The feature vectors, float64, shape (n, f).

        Args:
            keys: key column to n keys.
            time: as of when, microseconds, n of them.
            request: request column to n values: numbers, Booleans or None.

        Raises:
            DataError: a key is of another type, or a time reaches behind what the state keeps.
        """
        n = len(time)
        cells = np.empty((self._cells, n), dtype=np.float64)
        for view, key, mine in self._views:
            self._single.cells(view, keys[key], time, cells[mine])
        return self._vectors(cells, request)

    def known(self, views: Mapping[str, Float64], request: Mapping[str, Sequence[Any]]) -> Float64:
        """The same of cells that were read before.

        Args:
            views: to the cells of each view of the model, float64, shape (cells, n).
            request: as above.
        """
        return self._vectors(np.concatenate([views[view] for view, _, _ in self._views]), request)

    def _vectors(self, cells: Float64, request: Mapping[str, Sequence[Any]]) -> Float64:
        X = np.empty((cells.shape[1], self._width), dtype=np.float64)
        words = cells.view(np.int64)
        for kind, (places, rows) in self._sources.items():
            if kind == NUMBER:
                X[:, places] = cells[rows].T
            elif kind == COUNT:
                X[:, places] = words[rows].T
            else:
                codes = words[rows].T
                X[:, places] = np.where(codes == at.NULL, np.nan, codes)
        for name, place in self._request:
            X[:, place] = [math.nan if value is None else value for value in request[name]]
        if self._derived:
            self._derive(X)
        X[~np.isfinite(X)] = np.nan
        return X

    def _derive(self, X: Float64) -> None:
        for row in X:
            numbers = row.tolist()
            read = {
                name: None if (value := numbers[place]) != value else value
                for name, place in self._read.items()
            }
            for place, function in self._derived:
                found = function(read)
                row[place] = math.nan if found is None else found
