"""A decision as it is kept: all that it rested on, as plain values that JSON holds to the bit.

Made by ``serving.decide``, kept by ``store.decisions``, made again by ``serving.replay``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from headwater.core.errors import StoreError


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a score is not lower, in words.

    Attributes:
        text: what the person is told.
        feature: the input that weighs most under this text.
        value: of that input: a number, a category, or None where there is none.
        reference: what is usual, the median in training; None where nothing is.
        contribution: how far all inputs under this text moved the score, in the scorer's space.
    """

    text: str
    feature: str
    value: float | str | None
    reference: float | str | None
    contribution: float


@dataclass(frozen=True)
class Decision:
    """What was decided, and on what.

    Attributes:
        model, model_digest: whose score; the seal of its artifact.
        definition_hash: of the model's definition, features included.
        policy, policy_hash: whose bands and reasons.
        keys: key column to the entity's key.
        time: as of when the features are, microseconds UTC.
        offset: the last place in the log that the features may rest on.
        decided_at: when it was decided, microseconds UTC.
        request: request columns as they came.
        features: the model's inputs by name, in order; None is null.
        score, band: the outcome.
        reasons: the strongest first.
    """

    model: str
    model_digest: str
    definition_hash: str
    policy: str
    policy_hash: str
    keys: Mapping[str, Any]
    time: int
    offset: int
    decided_at: int
    features: Mapping[str, float | None]
    score: float
    band: str
    reasons: tuple[Reason, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        form = {name: getattr(self, name) for name in _PLAIN}
        form |= {name: dict(getattr(self, name)) for name in _MAPPINGS}
        form["reasons"] = [_of_reason(reason) for reason in self.reasons]
        return form

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Decision:
        """The inverse of :meth:`to_json`."""
        reasons = tuple(Reason(**reason) for reason in form["reasons"])
        return cls(**{**form, "reasons": reasons})

    def asked(self) -> str:
        """A digest of what was asked: policy, keys and request columns; not when, nor what came of it.

        Example:
            >>> decided = Decision("m", "d", "h", "p", "q", {"who": 1}, 5, 0, 5, {"n": 0.1}, 0.5, "act")
            >>> decided.asked()[:8]
            '4a8a72b5'
        """
        text = canonical_json({"policy": self.policy, "keys": dict(self.keys), "request": dict(self.request)})
        return hashlib.sha256(text.encode()).hexdigest()

    def canonical(self) -> str:
        """One line of JSON with sorted keys: the text that is chained.

        Floats are written with the shortest digits that read back to the same bits.

        Raises:
            StoreError: it holds something that JSON does not.

        Example:
            >>> decided = Decision("m", "d", "h", "p", "q", {"who": 1}, 5, 0, 5, {"n": 0.1}, 0.5, "act")
            >>> decided.canonical()[:50]
            '{"band":"act","decided_at":5,"definition_hash":"h"'
        """
        written = _features(self.features)
        if written is not None:
            form = {name: getattr(self, name) for name in _BEFORE}
            rest = {name: getattr(self, name) for name in _BEHIND}
            rest["keys"], rest["request"] = dict(self.keys), dict(self.request)
            rest["reasons"] = [_of_reason(reason) for reason in self.reasons]
            try:
                return f"{canonical_json(form)[:-1]},{written},{canonical_json(rest)[1:]}"
            except (TypeError, ValueError):
                pass  # the whole says what it is
        try:
            return canonical_json(self.to_json())
        except (TypeError, ValueError) as error:
            raise StoreError.of(
                "a decision cannot be written as JSON",
                expected="keys, request columns and features that are numbers, texts, Booleans or null",
                got=str(error),
                where=self.model,
                do="take such columns out of the model's request",
            ) from None


def canonical_json(value: Any) -> str:
    """A value as one line of JSON that is the same for equal values; raises as ``json.dumps`` does."""
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_MAPPINGS = ("keys", "features", "request")
_PLAIN = tuple(f.name for f in fields(Decision) if f.name not in (*_MAPPINGS, "reasons"))
_BEFORE = tuple(name for name in _PLAIN if name < "features")
_BEHIND = tuple(name for name in _PLAIN if name > "features")
_MODELS = 256  # whose shapes are remembered


def _of_reason(one: Reason) -> dict[str, Any]:
    return {
        "text": one.text,
        "feature": one.feature,
        "value": one.value,
        "reference": one.reference,
        "contribution": one.contribution,
    }


@lru_cache(_MODELS)
def _shape(names: tuple[str, ...]) -> tuple[Callable[[Mapping[str, Any]], tuple[Any, ...]] | None, str]:
    """How features are taken out in the order of their names, and how they are written.

    A model's names are the same in each of its decisions, and most of a record's text.
    """
    if len(names) < 2 or not all(isinstance(name, str) for name in names):
        return None, ""
    ordered = sorted(names)
    written = ",".join(f"{canonical_json(name).replace('%', '%%')}:%s" for name in ordered)
    return itemgetter(*ordered), f'"features":{{{written}}}'


def _features(features: Mapping[str, float | None]) -> str | None:
    """The features as in ``canonical``; None if they are not numbers and nulls alone, or too few."""
    get, written = _shape(tuple(features))
    if get is None:
        return None
    values = get(features)
    try:
        text = _ENCODER.encode(values).decode()
    except (TypeError, ValueError, OverflowError):
        return None
    pieces = text[1:-1].split(",")
    if '"' in text or len(pieces) != len(values) or pieces.count("null") != values.count(None):
        return None  # NaN is written as null there
    if "e" in text or "0.0000" in text:
        pieces = [_as_python(*one) for one in zip(values, pieces, strict=True)]
    return written % tuple(pieces)


def _as_python(value: float | None, piece: str) -> str:
    """A number as the rest of the text has it: the same digits, but Python goes over to exponents sooner."""
    return canonical_json(value) if "e" in piece or "0.0000" in piece else piece


_ENCODER = msgspec.json.Encoder()  # writes a float ten times as fast as Python does


def numbers(names: tuple[str, ...], row: Any) -> dict[str, float | None]:
    """An input vector, float64, shape (f,), by name; NaN as None."""
    return {
        name: None if value != value else value  # NaN alone is not equal to itself
        for name, value in zip(names, row.tolist(), strict=True)
    }
