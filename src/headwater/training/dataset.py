"""A training set by replay: what serving could have known at each observation, and what then came true.

The same kernel that serves answers here, as of each row's time and of what had arrived by then. So a
training set holds no future, and a live read at that moment would have given the same bits. Called by
``training.train`` and by anyone who wants the rows; read ``spine``, ``labels`` and ``manifest`` for its three
parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import TrainingError
from headwater.core.instant import iso, span_text
from headwater.definitions.compile import content_hash
from headwater.definitions.model import Model
from headwater.models.flow import Flow
from headwater.models.inputs import Inputs
from headwater.training.history import Events
from headwater.training.labels import gap, labels
from headwater.training.manifest import Manifest, Source, array_digest, frame_digest
from headwater.training.past import Past, held, past_of
from headwater.training.spine import INSTANT, Spine, observations

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingSet:
    """Rows to learn from, ascending by time.

    Attributes:
        model: the definition.
        frame: n rows: keys, time, the views' features, request columns, label.
        inputs: how the frame becomes a matrix.
        X: float64, shape (n, f), NaN is null; columns in the order of ``inputs.names``.
        y: float64, shape (n,), 0.0 and 1.0.
        times: int64 microseconds, shape (n,): when each row was observed.
        manifest: what the set was made of.
        flows: stream to how its events came, up to what was known.
    """

    model: Model
    frame: pl.DataFrame
    inputs: Inputs
    X: Float64
    y: Float64
    times: Int64
    manifest: Manifest
    flows: Mapping[str, Flow] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return self.model.keys

    @property
    def entity(self) -> pl.Series:
        """The entity that each row is about: the key of the model's first view."""
        return self.frame[self.model.entity]

    @property
    def entities(self) -> Int64:
        """A number for the entity of each row, shape (n,); equal numbers are equal entities."""
        return self.entity.rank("dense").to_numpy().astype(np.int64)

    @property
    def gap(self) -> int:
        """How long after an observation its label was known, in microseconds."""
        return self.manifest.horizon + self.manifest.delay


def build(
    model: Model,
    events: Events | Past,
    start: int | None = None,
    end: int | None = None,
    *,
    known_by: int | None = None,
) -> TrainingSet:
    """Build the training set of a model.

    Args:
        model: the definition.
        events: a log, or a mapping from stream name to a batch or a frame, or a past that lies elsewhere. In
            a frame an event arrives when it happens.
        start: only observations with ``start <= time``, microseconds.
        end: only observations with ``time < end``.
        known_by: as if nothing later had arrived; by default all that has.

    Raises:
        TrainingError: there are no observations, or none with a mature label; or an outcome is not 0 or 1.
        DataError: a stream is missing, or a frame does not fit its schema.

    Example:
        >>> training_set = build(model, {"transactions": frame})  # doctest: +SKIP
        >>> training_set.X.shape  # doctest: +SKIP
        (1204, 9)
    """
    past = past_of(events, model)
    sources = past.sources()
    arrivals = [one.newest_arrival for one in sources.values() if one.newest_arrival is not None]
    if not arrivals:
        raise _no_events(model, sources)
    newest = max(arrivals)
    known = newest if known_by is None else min(newest, known_by)
    spine = observations(model, past, start, known if end is None else min(known, end - 1))
    mature = spine.time <= known - gap(model.label)
    if not mature.any():
        raise _none_mature(model, spine, known)
    unmatured = int(len(spine) - mature.sum())
    return _filled(model, past, spine[mature], (start, end), known, unmatured)


def _filled(
    model: Model,
    past: Past,
    spine: Spine,
    bounds: tuple[int | None, int | None],
    known: int,
    unmatured: int,
) -> TrainingSet:
    y = labels(model, past, spine)
    labelled = ~np.isnan(y)
    unlabelled = int(len(y) - labelled.sum())
    spine, y = spine[labelled], y[labelled]
    frame = features(model, past, spine).with_columns(pl.Series(_free("label", model), y != 0))
    inputs = Inputs.fit(model, frame)
    X = inputs.matrix(frame)
    manifest = Manifest(
        model=model.name,
        definition_hash=content_hash(model),
        sources=past.sources(),
        start=bounds[0],
        end=bounds[1],
        known_by=known,
        horizon=model.label.horizon,
        delay=model.label.delay,
        mature_until=known - gap(model.label),
        rows=len(y),
        positives=int(y.sum()),
        unmatured=unmatured,
        unlabelled=unlabelled,
        checksums={
            "keys": frame_digest(frame.select(model.keys)),
            "times": array_digest(spine.time),
            "X": array_digest(X),
            "y": array_digest(y),
        },
    )
    return TrainingSet(model, frame, inputs, X, y, spine.time, manifest, past.flows(known))


def features(model: Model, events: Past | Mapping[str, Batch], spine: Spine) -> pl.DataFrame:
    """Keys, time, the views' features and the request columns of each observation, in order."""
    time = _free("time", model)
    asked = spine.keys.with_columns(pl.Series(time, spine.time).cast(INSTANT))
    found = held(events).features(model.features, asked, time=time, known=spine.known)
    request = [spine.observed[name] for name in model.request]
    return found.with_columns(request)


def rows(training_set: TrainingSet, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> TrainingSet:
    """Some rows of a training set, with the inputs fitted to these rows alone; the manifest stays."""
    place = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
    frame = training_set.frame[place]
    inputs = Inputs.fit(training_set.model, frame)
    return replace(
        training_set,
        frame=frame,
        inputs=inputs,
        X=inputs.matrix(frame),
        y=training_set.y[place],
        times=training_set.times[place],
    )


def _free(name: str, model: Model) -> str:
    """A column name that no key, feature or request column has."""
    while name in model.columns or name in model.keys:
        name += "_"
    return name


def _no_events(model: Model, sources: Mapping[str, Source]) -> TrainingError:
    return TrainingError.of(
        "there are no events to learn from",
        expected="events of " + ", ".join(sources),
        got="none",
        where=model.name,
        do="import history first",
    )


def _none_mature(model: Model, spine: Spine, known: int) -> TrainingError:
    wait = span_text(gap(model.label)) if gap(model.label) else "0d"
    return TrainingError.of(
        "no observation has a label that is known yet",
        expected=f"observations up to {iso(known - gap(model.label))}, {wait} before the newest event",
        got=f"{len(spine):,} observations"
        + (f", the first at {iso(int(spine.time[0]))}" if len(spine) else ""),
        where=model.name,
        do="import more history, observe more often, or look at the bounds",
    )
