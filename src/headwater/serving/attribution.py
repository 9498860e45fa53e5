"""Why a decision made again came out otherwise: data, definition, model or policy, and in words.

A decision is taken from its record to its counterpart in stages, always in this order, and every difference
belongs to the stage in which it appeared::

    as recorded ──data──► its own ──definition──► its own ──model──► the other ──policy──► the other
                          model,                  model,             model,                model,
                          today's log             other features     its own policy        other policy

Where its own model cannot read the other features, since they bear other names, definition and model are one
stage, called definition. Where the decision's own model or policy is not at hand, the hashes in the record
say what differs, and the first of the four that does is the cause. Called by ``replay``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from headwater.store.decision import Decision

Cause = Literal["data", "definition", "model", "policy"]

_SHOWN = 3  # features in a sentence


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that did not come out as it was recorded, and why.

    Attributes:
        what: the score, the band, the reasons, or a feature by its name.
        then, now: as text.
        cause: what made it differ first: ``data`` where the log no longer gives what it gave.
    """

    what: str
    then: str
    now: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the way: what was exchanged, and what the decision was before and after.

    Attributes:
        cause: what was exchanged.
        features: inputs whose bits differ, name to (before, after) as text.
        before, after: the decision.
    """

    cause: Cause
    features: Mapping[str, tuple[str, str]]
    before: Decision
    after: Decision

    @property
    def score(self) -> bool:
        """Whether the score's bits differ."""
        return self.before.score.hex() != self.after.score.hex()

    @property
    def band(self) -> bool:
        """Whether the band differs."""
        return self.before.band != self.after.band

    @property
    def reasons(self) -> bool:
        """Whether the reasons differ."""
        return self.before.reasons != self.after.reasons

    @property
    def empty(self) -> bool:
        """Whether this step changed nothing."""
        return not (self.features or self.score or self.band or self.reasons)

    def words(self, hidden: Collection[str] = ()) -> str:
        """What this step did, as one sentence.

        Args:
            hidden: inputs whose values are not to be told.
        """
        told = [
            text for text in (self._features(hidden), self._score(), self._band(), self._reasons()) if text
        ]
        return f"{self._subject()}: {'; '.join(told)}."

    def _subject(self) -> str:
        together = self.cause == "definition" and self.before.model_digest != self.after.model_digest
        return _SUBJECT[self.cause] + (_WITH_MODEL if together else "")

    def _features(self, hidden: Collection[str]) -> str:
        if not self.features:
            return ""
        shown = [
            name if name in hidden else f"{name} {then} -> {now}"
            for name, (then, now) in list(self.features.items())[:_SHOWN]
        ]
        more = len(self.features) - len(shown)
        some = "1 feature differs" if len(self.features) == 1 else f"{len(self.features)} features differ"
        return f"{some} ({', '.join(shown)}{f' and {more} more' if more else ''})"

    def _score(self) -> str:
        if not self.score:
            return ""
        same = "" if self.features else " from the same features"
        return f"the score is {self.after.score!r}, not {self.before.score!r}{same}"

    def _band(self) -> str:
        if not self.band:
            return ""
        same = "" if self.score else " for the same score"
        return f"the band is {self.after.band!r}, not {self.before.band!r}{same}"

    def _reasons(self) -> str:
        if not self.reasons or self.score or self.features:  # reasons follow the score
            return ""
        return "other reasons are told for the same contributions"


_SUBJECT = {
    "data": "Data, the log no longer gives what it gave",
    "definition": "Definition, features mean something else",
    "model": "Model",
    "policy": "Policy",
}
_WITH_MODEL = ", and the model that was trained from them reads them"


def stages(
    then: Decision,
    own: Decision | None,
    middle: Decision | None,
    now: Decision,
    crossed: Decision | None = None,
) -> list[Stage]:
    """The way from a record to its counterpart, without the steps that changed nothing.

    Args:
        then: as recorded.
        own: made again with its own model and policy, where they are at hand.
        middle: with the other model and its own policy, where that policy is at hand.
        now: with the other model and policy.
        crossed: with its own model on the other definition's features, where that can read them.
    """
    if own is None:
        return _guessed(then, now)
    middle = now if middle is None else middle
    found = [_stage("data", then, own), *_exchanged(own, crossed, middle), _stage("policy", middle, now)]
    return [stage for stage in found if not stage.empty]


def _exchanged(own: Decision, crossed: Decision | None, middle: Decision) -> list[Stage]:
    """What the other definition does, then what the other model does; or both at once."""
    if crossed is not None:
        return [_stage("definition", own, crossed), _stage("model", crossed, middle)]
    step = _stage("model", own, middle)
    if step.features and own.definition_hash != middle.definition_hash:
        step = Stage("definition", step.features, step.before, step.after)
    return [step]


def _guessed(then: Decision, now: Decision) -> list[Stage]:
    """One step, named by the nearest hash that differs to the first thing that came out otherwise."""
    step = _stage("data", then, now)
    if step.empty:
        return []
    suspects: list[tuple[Cause, bool]] = [("definition", then.definition_hash != now.definition_hash)]
    if not step.features:
        suspects.insert(0, ("model", then.model_digest != now.model_digest))
        if not step.score:
            suspects.insert(0, ("policy", then.policy_hash != now.policy_hash))
    cause: Cause = next((name for name, other in suspects if other), "data")
    return [Stage(cause, step.features, then, now)]


def differences(then: Decision, now: Decision, way: Sequence[Stage]) -> Iterator[Difference]:
    """What differs at the end of the way, each with the step in which it first did."""
    for name, (before, after) in _stage("data", then, now).features.items():
        yield Difference(f"the feature {name!r}", before, after, _first(way, name))
    if then.score.hex() != now.score.hex():
        yield Difference("the score", repr(then.score), repr(now.score), _first(way, "", "score"))
    if then.band != now.band:
        yield Difference("the band", then.band, now.band, _first(way, "", "band"))
    if then.reasons != now.reasons:
        yield Difference("the reasons", _texts(then), _texts(now), _first(way, "", "reasons"))


def _first(way: Sequence[Stage], feature: str, fact: str = "") -> Cause:
    for stage in way:
        if getattr(stage, fact) if fact else feature in stage.features:
            return stage.cause
    return "data"


def _stage(cause: Cause, before: Decision, after: Decision) -> Stage:
    names = dict.fromkeys((*before.features, *after.features))
    bits = {name: (_bits(before.features, name), _bits(after.features, name)) for name in names}
    return Stage(cause, {name: pair for name, pair in bits.items() if pair[0] != pair[1]}, before, after)


def _bits(features: Mapping[str, float | None], name: str) -> str:
    if name not in features:
        return "no such feature"
    value = features[name]
    return "null" if value is None else f"{value!r}"


def _texts(decision: Decision) -> str:
    return "; ".join(str(asdict(reason)) for reason in decision.reasons) or "none"
