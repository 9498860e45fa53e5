"""How the decisions of a model fell on the groups of an attribute; kept.

The attribute is computed by replay, as it was when each decision was made: a protected column is in no
record, since the model does not read it. Called by ``headwater fairness`` and by jobs; the figures are
``monitoring.fairness``'.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.apps.watching.place import Place, Watched
from headwater.apps.watching.served import Served, Source, events_of, from_decisions, from_log, need
from headwater.apps.watching.truth import outcomes as outcomes_of
from headwater.apps.watching.truth import values_of
from headwater.core.errors import DataError
from headwater.log.protocol import EventLog
from headwater.monitoring.fairness import Fairness, audit, quarters
from headwater.monitoring.fairness import cut as groups_of
from headwater.store.reports import Report, ReportStore

KIND = "fairness"
MOST_GROUPS = 20


@dataclass(frozen=True)
class FairnessFound:
    """What was found.

    Attributes:
        watched: the model version.
        source: whether decisions or the log's observations were looked at.
        start, stop: the stretch, microseconds UTC.
        favourable: the bands that count as the favourable decision.
        fairness: by group.
        notes: what could not be taken as it is, as sentences.
    """

    watched: Watched
    source: Source
    start: int
    stop: int
    favourable: tuple[str, ...]
    fairness: Fairness
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "model": self.watched.model.name,
            "version": self.watched.version.number,
            "digest": self.watched.version.digest,
            "source": self.source,
            "start": self.start,
            "stop": self.stop,
            "favourable": list(self.favourable),
            **self.fairness.to_json(),
            "notes": list(self.notes),
        }


def fairness(
    place: Place,
    log: EventLog,
    start: int,
    stop: int,
    *,
    by: str,
    now: int,
    model: str | None = None,
    which: int | str = "champion",
    source: Source = "decisions",
    cut: Sequence[float] = (),
    favourable: Collection[str] = (),
    deserving: int = 0,
    bootstrap: int = 200,
) -> FairnessFound:
    """Compare the groups of an attribute.

    Args:
        place: project and data folder.
        log: its events.
        start: of the stretch, microseconds UTC.
        stop: the first instant after it.
        by: a column of the model: protected ones too.
        now: as of when labels are mature.
        model: which; the project's only one.
        which: version number or alias.
        source: ``decisions``, or ``log`` for the model's observations by replay.
        cut: where a number is cut into groups, ascending; by default a protected one with many values is cut
            into quarters.
        favourable: the bands that are the favourable decision; the policy's lowest by default.
        deserving: the outcome of those who deserve it: 0 where the score foretells something bad.
        bootstrap: resamples, for the intervals.

    Raises:
        DataError: nothing was served, the model has no such column, or it has too many values to be groups.
        MissingExtraError: fairlearn is not installed.
    """
    watched = place.watched(model, which)
    batches = events_of(watched, log)
    if source == "log":
        served = from_log(watched, batches, start, stop)
    else:
        with place.records() as records, records.decisions() as decisions:
            served = from_decisions(watched, decisions, start, stop)
    need(served)
    bands = _bands(served, favourable)
    values = values_of(served, by, log)
    usual = quarters(values) if by in watched.model.protected and not cut else []
    found = audit(
        by,
        _groups(values, cut or usual),
        np.isin(np.array(served.bands), list(bands)),
        outcomes_of(served, batches, now),
        served.scores,
        served.entities,
        favourable=deserving,
        bootstrap=bootstrap,
    )
    notes = (f"{by} is cut into quarters.",) if usual else ()
    return FairnessFound(watched, source, start, stop, bands, found, (*served.notes, *notes))


def keep(place: Place, found: FairnessFound, *, now: int) -> Report:
    """Keep what was found in the data folder, under the model and the attribute.

    Raises:
        StoreError: the disk.
    """
    with ReportStore.open(place.folder.make().reports) as reports:
        subject = f"{found.watched.model.name} by {found.fairness.attribute}"
        return reports.keep(KIND, subject, found.start, found.stop, found.to_json(), now=now)


def _bands(served: Served, favourable: Collection[str]) -> tuple[str, ...]:
    policy = served.watched.policy
    if policy is None:
        raise DataError.of(
            "the model has no policy, so nothing is decided on its score",
            expected="a policy with bands",
            where=served.watched.model.name,
            do="declare hw.Policy(...) in the project",
        )
    known = list(policy.bands)
    odd = sorted(set(favourable) - set(known))
    if odd:
        raise DataError.of(
            "the policy has no such band",
            expected="some of " + ", ".join(known),
            got=", ".join(odd),
            where=policy.name,
            do="name the bands that are the favourable decision",
        )
    return tuple(name for name in known if name in favourable) or (known[0],)


def _groups(values: pl.Series, cut: Sequence[float]) -> list[object]:
    if cut and not values.dtype.is_numeric():
        raise DataError.of(
            "only numbers can be cut into groups",
            expected="a column of numbers",
            got=str(values.dtype),
            where=values.name,
            do="leave --cut away",
        )
    if cut:
        values = groups_of(values, sorted(set(cut)))
    count = values.drop_nulls().n_unique()
    if count > MOST_GROUPS:
        raise DataError.of(
            "the column has too many values to be groups",
            expected=f"at most {MOST_GROUPS}",
            got=f"{count:,}",
            where=values.name,
            do="cut a number into groups, such as --cut 30 --cut 60; or derive a coarser column",
        )
    return values.to_list()
