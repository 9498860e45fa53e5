"""From contributions to reasons: what moved a score towards the worse, in words.

A policy's later bands are the worse ones, so a reason is what pushed the score up. Contributions under one
text are added first, those that pull down included: a text whose inputs cancel each other explains nothing.
A value that is just the usual one (the training median, or null where null is usual) leads no reason, for
nobody could be told that it is out of the ordinary. At most four are named, as adverse-action practice has
it (Regulation B, official interpretation of 12 CFR 1002.9(b)(2)). Called by ``decide`` and ``replay``.
"""

from __future__ import annotations

import math
from itertools import islice

import numpy as np

from headwater.core.instant import DAY, HOUR, MINUTE, span_text
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.models.inputs import Inputs
from headwater.models.reference import Reference
from headwater.serving.scoring import Float64, Scoring
from headwater.store.decision import Reason

_TELLS_NOTHING = 2  # letters

_Part = tuple[float, str, float | None, float | None]  # contribution, input, its value, what is usual
_Fact = tuple[str, tuple[str, str, str], float | None]  # input, what is said of it, what is usual


def reasons(policy: Policy, scoring: Scoring, x: Float64) -> tuple[Reason, ...]:
    """The reasons for a score, the strongest first.

    Args:
        policy: texts, and how many at most.
        scoring: the model.
        x: the feature vector, shape (f,).

    Returns:
        None at all if nothing out of the ordinary pushed the score up.
    """
    return Reasons(policy, scoring)(x)


class Reasons:
    """The reasons of one policy on one version of its model, with what does not change from score to score.

    Args:
        policy: texts, and how many at most.
        scoring: the model.
    """

    def __init__(self, policy: Policy, scoring: Scoring) -> None:
        self._scoring = scoring
        self._most = policy.max_reasons
        self._inputs = scoring.artifact.inputs
        subjects, references = _subjects(scoring.model), scoring.artifact.references
        usual = {name: _usual(references.get(name)) for name in scoring.names}
        self._facts: list[_Fact] = [
            (name, _texts(policy.reasons.get(name), subjects[name], usual[name]), usual[name])
            for name in scoring.names
        ]
        texts = [text for _, said, _ in self._facts for text in set(said)]
        self._apart = len(set(texts)) == len(texts)  # no two inputs ever share a text

    def __call__(self, x: Float64) -> tuple[Reason, ...]:
        """The reasons for the score of a feature vector, shape (f,), the strongest first."""
        return self.each(x[np.newaxis])[0]

    def each(self, X: Float64) -> list[tuple[Reason, ...]]:
        """The same for several feature vectors, shape (n, f)."""
        moved, _ = self._scoring.scorer.contributions(X)
        return [self._told(x, one) for x, one in zip(X, moved, strict=True)]

    def _told(self, x: Float64, moved: Float64) -> tuple[Reason, ...]:
        return self._strongest(x, moved) if self._apart else self._grouped(x, moved)

    def _strongest(self, x: Float64, moved: Float64) -> tuple[Reason, ...]:
        """Where no two inputs share a text: one after the other, until there are enough."""
        told: list[Reason] = []
        for place in np.argsort(-moved, kind="stable").tolist():  # equal ones in the order of the inputs
            if len(told) == self._most or not moved[place] > 0:
                break
            text, part = self._part(self._facts[place], float(x[place]), float(moved[place]))
            if self._tells(part):
                told.append(Reason(text, part[1], *_shown(self._inputs, *part[1:]), part[0]))
        return tuple(told)

    @staticmethod
    def _part(fact: _Fact, value: float, contribution: float) -> tuple[str, _Part]:
        """An input's text, and what it is about."""
        name, (unknown, higher, lower), usual = fact
        if value != value:  # NaN alone is not equal to itself
            return unknown, (contribution, name, None, usual)
        return higher if usual is None or value > usual else lower, (contribution, name, value, usual)

    def _grouped(self, x: Float64, moved: Float64) -> tuple[Reason, ...]:
        groups: dict[str, list[_Part]] = {}
        for fact, value, contribution in zip(self._facts, x.tolist(), moved.tolist(), strict=True):
            text, part = self._part(fact, value, contribution)
            if text in groups:
                groups[text].append(part)
            else:
                groups[text] = [part]
        merged: list[tuple[str, float, _Part]] = []
        for text, group in groups.items():
            if len(group) > 1:
                if (one := self._merged(group)) is not None:
                    merged.append((text, *one))
            elif (alone := group[0])[0] > 0:
                merged.append((text, alone[0], alone))
        merged.sort(key=lambda one: -one[1])  # stable: equal ones in the order of the inputs
        telling = (one for one in merged if self._tells(one[2]))
        return tuple(
            Reason(text, lead[1], *_shown(self._inputs, *lead[1:]), total)
            for text, total, lead in islice(telling, self._most)
        )

    def _merged(self, group: list[_Part]) -> tuple[float, _Part] | None:
        """What inputs that share a text did together, and the one that weighs most among those that tell
        something; None if they do not push the score up."""  # noqa: D205, D209
        if all(part[0] <= 0 for part in group):
            return None
        total = math.fsum(part[0] for part in group)
        telling = [part for part in group if part[0] > 0 and self._tells(part)]
        if total <= 0 or not telling:
            return None
        return total, max(telling, key=lambda part: part[0])

    def _tells(self, part: _Part) -> bool:
        """Whether a value is another than the usual one."""
        value, usual = _shown(self._inputs, *part[1:])
        return value != usual


def readable(subject: str, value: float | None, usual: float | None) -> str:
    """A text for an input that the policy has none for.

    Example:
        >>> readable("Transfers in (30 days)", 0.0, 2.0)
        'Transfers in (30 days) lower than usual'
        >>> readable("Income", None, 2000.0)
        'Income unknown'
    """
    if value is None:
        return f"{subject} unknown"
    if usual is None:
        return f"{subject} out of the ordinary"
    return f"{subject} {'higher' if value > usual else 'lower'} than usual"


def _texts(said: str | None, subject: str, usual: float | None) -> tuple[str, str, str]:
    """What is said of an input that is unknown, higher than usual, or not."""
    if said:
        return said, said, said
    unknown, higher, lower = (readable(subject, value, usual) for value in (None, math.inf, -math.inf))
    return unknown, higher, lower


def _subjects(model: Model) -> dict[str, str]:
    """What each input is called in a generated text."""
    subjects = {name: _words(name) for name in model.inputs}
    for view in model.features:
        for output in view.outputs:
            base = output.name if output.over is None else output.name.rpartition("_")[0]
            if len(base) <= _TELLS_NOTHING:  # n, tx: the definition says more
                base = f"{output.aggregate.op} of {view.stream.name}"
            span = "" if output.over is None else f" ({_span(output.over)})"
            subjects[output.name] = _words(base) + span
    return subjects


def _words(name: str) -> str:
    words = name.replace("_", " ").strip() or name
    words = f"time {words}" if words.startswith("since ") else words
    return words[0].upper() + words[1:]


def _span(size: int) -> str:
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if size % unit == 0:
            return f"{size // unit} {name}{'' if size == unit else 's'}"
    return span_text(size)


def _usual(reference: Reference | None) -> float | None:
    """The median in training; None where null is the usual case."""
    if reference is None or 2 * reference.nulls > reference.rows or math.isnan(reference.median):
        return None
    return reference.median


def _shown(
    inputs: Inputs, name: str, value: float | None, usual: float | None
) -> tuple[float | str | None, float | str | None]:
    """Value and reference, as categories where the input is text."""
    if name not in inputs.categories:
        return value, usual
    known = inputs.categories[name]
    return (
        None if value is None else inputs.text(name, value),
        None if usual is None or not known else inputs.text(name, round(usual)),
    )
