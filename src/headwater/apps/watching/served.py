"""What a model served in a stretch of time: from its decision records, or from the log by replay.

Decision records hold the vectors as they were served, so they are what is watched where there are any. Where
only fresh scores are read, or before a service has decided anything, the log gives the model's observations
again, as training saw them. Called by ``drift``, ``outcomes`` and ``fairness``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.apps.watching.place import Watched
from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.core.instant import DAY
from headwater.engine.keys import entity_keys
from headwater.log.protocol import EventLog
from headwater.monitoring.window import Window, numbered
from headwater.store.decision import Decision
from headwater.store.protocol import Decisions
from headwater.training.dataset import features
from headwater.training.history import gather, streams_of
from headwater.training.spine import Spine, observations

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Source = Literal["decisions", "log"]


@dataclass(frozen=True)
class Served:
    """Rows that a model served, ascending as they were recorded.

    Attributes:
        watched: the model version whose scores these are.
        source: where they come from.
        start, stop: the stretch, microseconds UTC.
        keys: n rows: the model's key columns, in the types of its streams.
        time: int64 microseconds, shape (n,): as of when each was served.
        X: float64, shape (n, f): the inputs; NaN is null.
        scores: float64, shape (n,), as served; by the watched version where another had decided.
        bands: the policy's outcome of each row; None where there is no policy.
        decisions: the records; empty where they come from the log.
        columns: of rows from the log, what the inputs were read from.
        spine: of rows from the log, the observations.
        notes: what could not be taken as it is, as sentences.
    """

    watched: Watched
    source: Source
    start: int
    stop: int
    keys: pl.DataFrame
    time: Int64
    X: Float64
    scores: Float64
    bands: tuple[str, ...] | None
    decisions: tuple[Decision, ...] = ()
    columns: pl.DataFrame | None = None
    spine: Spine | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time)

    @property
    def entities(self) -> Int64:
        """A number for whose each row is, shape (n,)."""
        return numbered(self.keys[self.watched.model.entity])

    def window(self) -> Window:
        """The rows as ``monitoring.drift`` compares them."""
        names, inputs = self.watched.scoring.names, self.watched.scoring.artifact.inputs
        entity = self.watched.model.entity
        if self.columns is not None:
            found = Window.of_frame(
                inputs, self.columns, entity=entity, start=self.start, stop=self.stop, scores=self.scores
            )
            return Window(**{**vars(found), "notes": self.notes})
        return Window(self.start, self.stop, names, self.X, self.entities, self.scores, notes=self.notes)


def from_decisions(watched: Watched, store: Decisions, start: int, stop: int) -> Served:
    """Decisions of a model as of a time from ``start`` until before ``stop``.

    Decisions of another definition are left out; those of another version with the same inputs are scored by
    the watched version. Both are said in ``notes``.

    Args:
        watched: the model version.
        store: the decision records. Those made more than a day before ``start`` are not looked at: a decision
            may name a time long before it was made, but not long after.
        start: the first instant, microseconds UTC.
        stop: the first instant after the stretch.
    """
    records = store.scan(model=watched.model.name, since=start - DAY)
    inside = [one.decision for one in records if start <= one.decision.time < stop]
    own = tuple(one for one in inside if one.definition_hash == watched.scoring.definition_hash)
    names = watched.scoring.names
    rows = [[one.features[name] for name in names] for one in own]
    X = np.array(rows, np.float64).reshape(len(own), len(names))
    scores = np.array([one.score for one in own], np.float64)
    others = np.array([one.model_digest != watched.scoring.digest for one in own], np.bool_)
    if others.any():
        scores[others] = watched.scoring.scorer.score(X[others])
    return Served(
        watched=watched,
        source="decisions",
        start=start,
        stop=stop,
        keys=_keys(watched, own),
        time=np.array([one.time for one in own], np.int64),
        X=X,
        scores=scores,
        bands=tuple(one.band for one in own),
        decisions=own,
        notes=_notes(len(inside) - len(own), int(others.sum()), watched.version.number),
    )


def from_log(watched: Watched, batches: Mapping[str, Batch], start: int, stop: int) -> Served:
    """The model's observations from ``start`` until before ``stop``, by replay, as training sees them.

    Args:
        watched: the model version.
        batches: of :func:`events_of`.
        start: the first instant, microseconds UTC.
        stop: the first instant after the stretch.

    Raises:
        TrainingError: the model has request columns that no log holds.
    """
    spine = observations(watched.model, batches, start, stop - 1)
    frame = features(watched.model, batches, spine)
    X = watched.scoring.artifact.inputs.matrix(frame)
    scores = watched.scoring.scorer.score(X) if len(X) else np.empty(0)
    policy = watched.policy
    return Served(
        watched=watched,
        source="log",
        start=start,
        stop=stop,
        keys=frame.select(watched.model.keys),
        time=spine.time,
        X=X,
        scores=scores,
        bands=None if policy is None else tuple(policy.band(float(score)) for score in scores),
        columns=frame,
        spine=spine,
    )


def events_of(watched: Watched, log: EventLog) -> dict[str, Batch]:
    """All events of the streams that a model reads, one batch for each."""
    return gather(log, streams_of(watched.model), watched.model.keys)


def need(served: Served) -> None:
    """Nothing can be told of nothing.

    Raises:
        DataError: no rows were served in the stretch.
    """
    if len(served):
        return
    source = "decisions" if served.source == "decisions" else "observations"
    raise DataError.of(
        f"there are no {source} of the model in this stretch of time",
        expected=f"{source} of the definition that the model was trained from",
        got=" ".join(served.notes) or "none",
        where=served.watched.model.name,
        do="name another stretch with --from and --to; or look at the log's observations with --replay",
    )


def _keys(watched: Watched, decisions: Sequence[Decision]) -> pl.DataFrame:
    views = {view.key: view for view in reversed(watched.model.features)}
    return pl.DataFrame(
        [
            entity_keys([one.keys[name] for one in decisions], views[name].stream.schema[name], name).alias(
                name
            )
            for name in watched.model.keys
        ]
    )


def _notes(lost: int, rescored: int, version: int) -> tuple[str, ...]:
    found = []
    if lost:
        found.append(f"{lost:,} decisions of another definition were left out.")
    if rescored:
        found.append(f"{rescored:,} decisions of another version were scored by version {version}.")
    return tuple(found)
