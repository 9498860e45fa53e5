"""The rows of one retraining: what had arrived by its moment, with labels that were known by then.

The log is cut at the moment before anything is computed, so that nothing that came later can leak, and the
same moment gives the same bits whatever was appended since.

    mature - test - gap - window      mature - test - gap      mature - test          mature = as of - gap
    (---------------------------------]------------------------[----------------------]
      the judged model learns           labels not known yet     it is judged
                              (--------------------------------------------------------]
                                the registered model learns: the same recipe, the newest window

Called by ``run``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.core.batch import Batch
from headwater.core.errors import Problem, TrainingError
from headwater.core.instant import DAY, iso, span_text
from headwater.definitions.model import Model
from headwater.models.reference import Reference
from headwater.training.dataset import TrainingSet, build
from headwater.training.history import Events, gather, streams_of
from headwater.training.labels import gap
from headwater.training.split import Split, temporal

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

LEAST_ROWS = 200
LEAST_OF_A_CLASS = 30  # below that no gate gives a verdict
GOOD_OF_A_CLASS = 100  # from that on two equal models can be told to be equal (``benchmarks.gate``)
WEEK = 7 * DAY
_MOST_STEPS, _GOOD_STEPS = 60, 4
_GONE = 0.9  # a feature that was there in more than a tenth of the rows


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a retraining looks back, microseconds.

    Attributes:
        every: how often the model is trained; the test lasts a whole number of these.
        window: how long a stretch it learns from; None for all.
        test: how long the test lasts; None for as long as it takes to have enough outcomes.
    """

    every: int = WEEK
    window: int | None = None
    test: int | None = None

    @classmethod
    def of(
        cls, model: Model, *, window: int | None = None, test: int | None = None, every: int | None = None
    ) -> Bounds:
        """Those of the model's ``retrain``, unless others are named."""
        rolling = model.retrain
        return cls(
            every or (rolling.every if rolling else WEEK),
            window if window is not None else rolling.window if rolling else None,
            test,
        )

    def to_json(self) -> dict[str, int | None]:
        """Plain JSON values."""
        return {"every": self.every, "window": self.window, "test": self.test}


def known_by(events: Events, model: Model, as_of: int) -> dict[str, Batch]:
    """The events of a model's streams that had arrived by a moment; later ones are not even read on.

    Args:
        events: a log, or a mapping from stream name to a batch or a frame.
        model: the definition.
        as_of: microseconds UTC.
    """
    batches = gather(events, streams_of(model), model.keys)
    return {
        name: batch[: int(np.searchsorted(batch.arrival, as_of, side="right"))]
        for name, batch in batches.items()
    }


def matured(model: Model, events: Events, as_of: int, bounds: Bounds) -> TrainingSet:
    """All rows that a retraining may use: observed inside its reach, with labels known by the moment.

    Raises:
        TrainingError: there are no events, or no observation has a label that is known yet.
        DataError: the events do not fit their streams.
    """
    wait = gap(model.label)
    start = None
    if bounds.window is not None:
        test = bounds.test if bounds.test is not None else max(bounds.window // 2, 8 * bounds.every)
        start = as_of - wait - test - wait - bounds.window
    return build(model, known_by(events, model, as_of), start, known_by=as_of)


def judged_split(rows: TrainingSet, bounds: Bounds) -> Split:
    """What the judged model learns from and is judged on.

    The test is the newest matured stretch, as many times ``every`` as it takes to hold a hundred outcomes of
    both classes: at most four, unless it takes more to hold thirty; or else the newest quarter of the rows.

    Raises:
        TrainingError: too little history, or one class only in either part.
    """
    split = temporal(
        rows.times, rows.gap, test_from=_test_from(rows.times, rows.y, bounds), window=bounds.window
    )
    TrainingError.raise_if(_one_class(rows, split))
    return split


def newest_split(rows: TrainingSet, bounds: Bounds) -> Split:
    """What the registered model learns from: the newest window, up to the last matured row."""
    newest = int(rows.times.max())
    first = newest - bounds.window if bounds.window is not None else int(rows.times.min()) - 1
    train = np.flatnonzero(rows.times > first)
    none = np.empty(0, np.intp)
    return Split(train, none, newest + 1, rows.gap, len(rows) - len(train))


def refuse_vanished(rows: TrainingSet, split: Split, usual: Mapping[str, Reference] | None = None) -> None:
    """Refuse a window in which an input has vanished: it is null in the whole test, or everywhere.

    Args:
        rows: as from :func:`matured`.
        split: as from :func:`judged_split`.
        usual: the champion's references, for inputs that are null everywhere in these rows.

    Raises:
        TrainingError: an input has vanished.
    """
    TrainingError.raise_if(_vanished(rows, split, usual or {}))


def _test_from(times: Int64, y: Float64, bounds: Bounds) -> int | None:
    end = int(times.max()) + 1
    if bounds.test is not None:
        return end - bounds.test
    half = int(times.min()) + (end - int(times.min())) // 2
    found = None
    for steps in range(1, _MOST_STEPS + 1):
        start = end - steps * bounds.every
        if start < half or (found is not None and steps > _GOOD_STEPS):
            break
        judged = y[times >= start]
        least = min(int(judged.sum()), len(judged) - int(judged.sum()))
        if len(judged) >= LEAST_ROWS and least >= LEAST_OF_A_CLASS:
            found = start
        if found is not None and least >= GOOD_OF_A_CLASS:
            break
    return found


def _one_class(rows: TrainingSet, split: Split) -> Iterator[Problem]:
    for what, places in (("to learn from", split.train), ("to judge on", split.test)):
        labels, times = rows.y[places], rows.times[places]
        if labels.sum() in (0, len(labels)):
            yield Problem(
                f"the rows {what} hold one class only",
                expected="positives and negatives",
                got=f"{int(labels.sum()):,} positives in {len(labels):,} rows",
                where=f"{rows.model.name}, {iso(int(times[0]))} to {iso(int(times[-1]))}",
                do="look at the label's condition, or train over a longer window",
            )


def _vanished(rows: TrainingSet, split: Split, usual: Mapping[str, Reference]) -> Iterator[Problem]:
    nulls_before = np.isnan(rows.X[split.train]).mean(axis=0)
    nulls_now = np.isnan(rows.X[split.test]).mean(axis=0)
    for place, name in enumerate(rows.inputs.names):
        before, now = float(nulls_before[place]), float(nulls_now[place])
        reference = usual.get(name)
        was = 1 - reference.nulls / reference.rows if reference is not None and reference.rows else 0.0
        gone = now == 1.0 and (before < _GONE or (before == 1.0 and was > 1 - _GONE))
        if gone:
            yield Problem(
                f"the input {name!r} has vanished",
                expected=f"a value in about {max(1 - before, was):.0%} of the rows, as before",
                got=f"none in the {len(split.test):,} newest rows",
                where=f"{rows.model.name}, from {iso(split.test_from)} on",
                do="look at the stream that it comes from, or take it out of the model",
            )


def spans(bounds: Bounds) -> str:
    """The window in words.

    Example:
        >>> spans(Bounds(window=30 * DAY))
        'a window of 30d'
    """
    return "all history" if bounds.window is None else f"a window of {span_text(bounds.window)}"
