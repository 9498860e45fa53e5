"""A past decision made again from the log: the same bits, or an alarm that says what differs.

Its features are rebuilt from the events of its keys up to its offset, as of its time; then its model scores
and its policy decides. With another model or policy than the recorded ones, the differences that these make
are attributed to them. Called by ``apps`` and by live parity checks; the decision comes from ``store``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import Problem, ReplayError
from headwater.definitions.view import FeatureView
from headwater.engine.state import ViewState
from headwater.log.protocol import EventLog
from headwater.serving.decide import Decider
from headwater.serving.live import Scored
from headwater.store.decision import Decision

Cause = Literal["data", "definition", "model", "policy"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that did not come out as it was recorded, and why: the first of the four that differs.

    Attributes:
        what: the score, the band, the reasons, or a feature by its name.
        then, now: as text.
        cause: ``definition``, ``model`` or ``policy`` if the replay was given another one; else ``data``:
            the log no longer gives what it gave.
    """

    what: str
    then: str
    now: str
    cause: Cause


@dataclass(frozen=True)
class Replayed:
    """A decision, and the same one made again.

    Attributes:
        then: as recorded.
        now: as the log gives it today.
        differences: empty if every bit is the same.
        events: how many events of its keys it rested on.
    """

    then: Decision
    now: Decision
    differences: tuple[Difference, ...]
    events: int

    @property
    def same(self) -> bool:
        """Whether features, score, band and reasons are the same to the bit."""
        return not self.differences

    def raise_if_different(self) -> None:
        """The alarm.

        Raises:
            ReplayError: with each difference.
        """
        ReplayError.raise_if(
            Problem(
                f"{difference.what} did not come out as it was decided",
                expected=difference.then,
                got=difference.now,
                where=f"{self.then.model}, log offset {self.then.offset}",
                do=_DO[difference.cause],
            )
            for difference in self.differences
        )


_DO = {
    "data": "run `headwater log verify`; the log or the engine is not what it was",
    "definition": "replay with the definition of that time, or accept that features now mean something else",
    "model": "replay with the model of that time, or accept the other model's answer",
    "policy": "replay with the policy of that time, or accept the other policy's answer",
}


def replay(decision: Decision, log: EventLog, decider: Decider) -> Replayed:
    """Make a decision again.

    Args:
        decision: as recorded.
        log: that it rested on, or a copy.
        decider: its model and policy, or others to compare with.

    Raises:
        DataError: the decision lacks a key or request column of the model.
    """
    values: dict[str, Any] = dict(decision.request)
    events = 0
    for view in decider.scoring.model.features:
        found, seen = _features(view, decision, log)
        values.update(found)
        events += seen
    x = decider.scoring.vector(values)
    scored = Scored(
        decision.model,
        decision.keys,
        decision.time,
        decision.offset,
        decision.request,
        x,
        decider.scoring.score(x),
    )
    now = decider.decide(scored, decision.decided_at)
    return Replayed(decision, now, tuple(_differences(decision, now)), events)


def _features(view: FeatureView, decision: Decision, log: EventLog) -> tuple[Mapping[str, Any], int]:
    """The view's outputs as of the decision, and how many events they rest on."""
    state = ViewState(view, shards=1, keep_all=True)
    key = pl.Series([decision.keys[view.key]]).cast(view.stream.schema[view.key])
    seen = 0
    for batch in log.scan([view.stream.name], stop=decision.offset + 1, by_stream=True):
        mine = _of_key(batch, view.key, key)
        if len(mine):
            state.apply(mine, emit=False)
            seen += len(mine)
    read = state.read(key, np.array([decision.time], dtype=np.int64))
    return read.row(0, named=True), seen


def _of_key(batch: Batch, column: str, key: pl.Series) -> Batch:
    """The events of one key."""
    rows = np.flatnonzero((batch.frame.get_column(column) == key[0]).fill_null(value=False).to_numpy())
    return Batch(batch.stream, batch.offset[rows], batch.arrival[rows], batch.time[rows], batch.frame[rows])


def _differences(then: Decision, now: Decision) -> Iterator[Difference]:
    """What differs: features by their bits, then what follows from them."""
    features: Cause = "definition" if then.definition_hash != now.definition_hash else "data"
    changed = False
    for name in dict.fromkeys((*then.features, *now.features)):
        before, after = _bits(then.features, name), _bits(now.features, name)
        if before != after:
            changed = True
            yield Difference(f"the feature {name!r}", before, after, features)
    model: Cause = features if changed else "model" if then.model_digest != now.model_digest else features
    if then.score.hex() != now.score.hex():
        changed = True
        yield Difference("the score", repr(then.score), repr(now.score), model)
    policy: Cause = model if changed else "policy" if then.policy_hash != now.policy_hash else model
    if then.band != now.band:
        yield Difference("the band", then.band, now.band, policy)
    if then.reasons != now.reasons:
        yield Difference("the reasons", _texts(then), _texts(now), policy)


def _bits(features: Mapping[str, float | None], name: str) -> str:
    if name not in features:
        return "no such feature"
    value = features[name]
    return "null" if value is None else f"{value!r}"


def _texts(decision: Decision) -> str:
    return "; ".join(str(asdict(reason)) for reason in decision.reasons) or "none"
