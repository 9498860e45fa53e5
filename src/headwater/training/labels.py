"""What came true: the label of each observation, once it can be known.

A label looks forward, ``(t, t + horizon]``, over the same log and through the same engine as any feature: it
is the count of matching events in the window of that length, asked for at ``t + horizon + delay`` as known
by then. A row whose label is not mature is never in a training set.

        t                    t + horizon      t + horizon + delay
        (--------------------]                |
            what counts                       when it is asked, and what had arrived by then

Called by ``training.dataset``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import TrainingError
from headwater.core.instant import iso
from headwater.definitions.aggregate import count
from headwater.definitions.label import Happens, Label, Outcome
from headwater.definitions.model import Model
from headwater.definitions.view import FeatureView
from headwater.training.past import Past, held
from headwater.training.spine import INSTANT, Spine

Float64 = npt.NDArray[np.float64]


def gap(label: Label) -> int:
    """How long after an observation its label is mature, in microseconds.

    Example:
        >>> import headwater as hw
        >>> gap(hw.outcome("is_fraud", known_after="7d")) // 86_400_000_000
        7
    """
    return label.horizon + label.delay


def labels(model: Model, events: Past | Mapping[str, Batch], spine: Spine) -> Float64:
    """The label of each observation, shape (n,): 1.0, 0.0, or NaN where the outcome is null.

    All observations must be mature.

    Raises:
        TrainingError: an outcome is neither 0 nor 1.
    """
    if isinstance(model.label, Happens):
        return _happens(model.label, model.entity, held(events), spine)
    return _outcome(model.label, spine)


def _happens(label: Happens, key: str, past: Past, spine: Spine) -> Float64:
    matches = count(where=label.where, over=label.within, delay=label.delay)
    view = FeatureView("label", label.stream, key, {f"{key}_matches": matches})
    (output,) = view.outputs
    asked = pl.Series(f"{key}_asked", spine.time + gap(label)).cast(INSTANT)
    frame = spine.keys.select(key).with_columns(asked)
    found = past.features([view], frame, time=asked.name)
    return (found[output.name] > 0).cast(pl.Float64).to_numpy()


def _outcome(label: Outcome, spine: Spine) -> Float64:
    column = spine.observed[label.column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    odd = np.flatnonzero(~np.isnan(column) & (column != 0) & (column != 1))
    if len(odd):
        raise TrainingError.of(
            f"the outcome {label.column!r} is neither 0 nor 1",
            expected="0, 1, or null where it is not known",
            got=f"{column[odd[0]]:g}, and {len(odd) - 1:,} more such rows",
            where=f"the event at {iso(int(spine.time[odd[0]]))}",
            do="mend the events, or declare the column as pl.Boolean",
        )
    return column
