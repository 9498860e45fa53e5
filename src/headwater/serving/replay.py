"""A past decision made again from the log: the same bits, or an alarm that says what differs.

Its features are rebuilt from the events of its keys up to its offset, as of its time; then its model scores
and its policy decides. With another definition, model or policy than the recorded ones, the differences that
these make are attributed to them (``attribution``). One decision or thousands take one pass over the log
(``rederive``). Called by ``backtest``, ``monitoring`` and ``apps``; decisions come from ``store``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from headwater.core.errors import Problem, ReplayError
from headwater.definitions.view import FeatureView, view_hash
from headwater.log.protocol import EventLog
from headwater.serving.attribution import Cause, Difference, Stage, differences, stages
from headwater.serving.decide import Decider
from headwater.serving.live import Scored
from headwater.serving.rederive import Asked, Found, Step, features, vectors
from headwater.serving.scoring import Float64, Scoring
from headwater.store.decision import Decision

__all__ = ["Cause", "Deciders", "Difference", "Replayed", "Stage", "replay", "replay_many"]

Deciders = Callable[[Decision], Decider | None]  # a decision's own model and policy, where they are at hand

_OFTEN = 64  # decisions made again between two calls of `step`


@dataclass(frozen=True)
class Replayed:
    """A decision, and the same one made again.

    Attributes:
        then: as recorded.
        now: as the log gives it today.
        differences: empty if every bit is the same.
        stages: the way from then to now, each step with its cause; steps that changed nothing are left out.
        events: how many events of its keys it rested on.
    """

    then: Decision
    now: Decision
    differences: tuple[Difference, ...]
    stages: tuple[Stage, ...]
    events: int

    @property
    def same(self) -> bool:
        """Whether features, score, band and reasons are the same to the bit."""
        return not self.differences

    def words(self, hidden: Collection[str] = ()) -> tuple[str, ...]:
        """What differs and why, a sentence for each cause.

        Args:
            hidden: inputs whose values are not to be told.
        """
        if not self.stages:
            then = self.then
            count = f"{len(then.features)} features"
            return (f"Every bit is the same: {count}, score {then.score!r}, band {then.band!r}, reasons.",)
        return tuple(stage.words(hidden) for stage in self.stages)

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


def replay(decision: Decision, log: EventLog, decider: Decider, *, own: Decider | None = None) -> Replayed:
    """Make a decision again.

    Args:
        decision: as recorded.
        log: that it rested on, or a copy.
        decider: its model and policy, or others to compare with.
        own: with others to compare with, its own model and policy too: what each of data, model and policy
            does is then seen apart. One whose hashes are not those of the record is left aside.

    Raises:
        DataError: the decision lacks a key or request column of the model.
    """
    (found,) = replay_many([decision], log, decider, own=None if own is None else lambda _: own)
    return found


def replay_many(
    decisions: Sequence[Decision],
    log: EventLog,
    decider: Decider,
    *,
    own: Deciders | None = None,
    step: Step | None = None,
) -> Iterator[Replayed]:
    """Make many decisions of one model again, with one pass over the log; the same as one by one.

    Args:
        decisions: as recorded, in any order.
        log: that they rested on, or a copy.
        decider: their model and policy, or others to compare with.
        own: as in :func:`replay`, for each decision.
        step: called now and then; may raise to stop.

    Yields:
        One for each decision, in their order.

    Raises:
        DataError: a decision lacks a key or request column of the model, or rests on Kafka's topics.
    """
    asked = Asked.of(decisions)
    past = _Past(asked, log, step)
    X = past.vectors(decider.scoring, range(len(asked)))
    owns = _owned(decisions, own, decider, past)
    events = past.events(decider.scoring)
    for place, decision in enumerate(decisions):
        if step is not None and place % _OFTEN == 0:
            step()
        now = _decided(decision, decider, X[place])
        first, crossed, middle = _between(decision, owns.get(place), decider, X[place])
        way = tuple(stages(decision, first, middle, now, crossed))
        yield Replayed(decision, now, tuple(differences(decision, now, way)), way, events[place])


class _Past:
    """The features of some rows under one model's views after another, each set of views read once."""

    def __init__(self, asked: Sequence[Asked], log: EventLog, step: Step | None) -> None:
        self._asked = asked
        self._log = log
        self._step = step
        self._found: dict[tuple[str, ...], Found] = {}

    def vectors(self, scoring: Scoring, places: Sequence[int]) -> Float64:
        asked = [self._asked[place] for place in places]
        return vectors(scoring, self._read(scoring.model.features).frame[list(places)], asked)

    def events(self, scoring: Scoring) -> list[int]:
        counted: list[int] = self._read(scoring.model.features).events.tolist()
        return counted

    def _read(self, views: Sequence[FeatureView]) -> Found:
        hashes = tuple(view_hash(view) for view in views)
        if hashes not in self._found:
            self._found[hashes] = features(views, self._asked, self._log, whole=True, step=self._step)
        return self._found[hashes]


@dataclass(frozen=True, slots=True)
class _Own:
    """A decision's own model and policy, where those that it is replayed with are others.

    Attributes:
        decider: the two.
        x: the vector of its own definition, float64, shape (f,).
        crossed: its own estimator and policy on the other definition, and the vector of that; None where
            that is one of the two already, or where it cannot be read.
    """

    decider: Decider
    x: Float64
    crossed: tuple[Decider, Float64] | None


def _owned(
    decisions: Sequence[Decision], own: Deciders | None, other: Decider, past: _Past
) -> dict[int, _Own]:
    """What made each decision, by the decision's place, where that is at hand and is not ``other``."""
    found: dict[int, Decider] = {}
    for place, decision in enumerate(decisions):
        one = None if own is None else own(decision)
        if one is not None and one is not other and _made(decision, one):
            found[place] = one
    made: dict[int, _Own] = {}
    for version in dict.fromkeys(_version(one.scoring) for one in found.values()):
        mine = [place for place, one in found.items() if _version(one.scoring) == version]
        scoring = found[mine[0]].scoring
        X = past.vectors(scoring, mine)
        cross = _cross(scoring, other.scoring)
        X_crossed = X if cross is None else past.vectors(cross, mine)
        for place, x, x_crossed in zip(mine, X, X_crossed, strict=True):
            decider = found[place]
            crossed = None if cross is None else (Decider(decider.policy, cross), x_crossed)
            made[place] = _Own(decider, x, crossed)
    return made


def _made(decision: Decision, decider: Decider) -> bool:
    """Whether a model and policy are those that the record names."""
    return (decider.scoring.digest, decider.policy_hash) == (decision.model_digest, decision.policy_hash)


def _cross(own: Scoring, other: Scoring) -> Scoring | None:
    """Own estimator on the other definition's features, where that is not one of the two already."""
    same = own.definition_hash == other.definition_hash or own.digest == other.digest
    return None if same else own.reading(other.model)


def _between(
    decision: Decision, own: _Own | None, other: Decider, of_other: Float64
) -> tuple[Decision | None, Decision | None, Decision | None]:
    """By its own model and policy; by these on the other definition; by the other model and own policy."""
    if own is None:
        return None, None, None
    first = _decided(decision, own.decider, own.x)
    crossed = None if own.crossed is None else _decided(decision, *own.crossed)
    if _version(own.decider.scoring) == _version(other.scoring):
        return first, None, first
    if own.decider.policy_hash == other.policy_hash:
        return first, crossed, None
    return first, crossed, _decided(decision, Decider(own.decider.policy, other.scoring), of_other)


def _version(scoring: Scoring) -> tuple[str, str]:
    return scoring.definition_hash, scoring.digest


def _decided(decision: Decision, decider: Decider, x: Float64) -> Decision:
    """The decision that a vector leads to."""
    score = decider.scoring.score(x)
    facts = decision.keys, decision.time, decision.offset, decision.request
    return decider.decide(Scored(decision.model, *facts, x, score, decision.places), decision.decided_at)
