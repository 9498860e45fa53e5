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
        places: where the log is Kafka's: each stream and partition, as ``payments/3``, to the last record
            that the features may rest on. Not written where there are none, as in records of before.
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
    places: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        form = {name: getattr(self, name) for name in _PLAIN}
        form |= {name: dict(getattr(self, name)) for name in _MAPPINGS}
        if self.places:
            form["places"] = dict(self.places)
        form["reasons"] = [{name: getattr(reason, name) for name in _OF_REASON} for reason in self.reasons]
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
        try:
            quick = _quick(self)
        except (TypeError, ValueError, OverflowError):
            quick = None
        try:
            text = canonical_json(self.to_json()) if quick is None else quick
            if not text.isascii():
                text.encode()  # half a character of UTF-16 is a text to Python, and none to anybody else
        except (TypeError, ValueError) as error:
            raise StoreError.of(
                "a decision cannot be written as JSON",
                expected="keys, request columns and features that are numbers, texts, Booleans or null",
                got=str(error),
                where=self.model,
                do="take such columns out of the model's request",
            ) from None
        return text


def canonical_json(value: Any) -> str:
    """A value as one line of JSON that is the same for equal values; raises as ``json.dumps`` does."""
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_MAPPINGS = ("keys", "features", "request")
_PLAIN = tuple(f.name for f in fields(Decision) if f.name not in (*_MAPPINGS, "places", "reasons"))
_OF_REASON = tuple(f.name for f in fields(Reason))
_MODELS = 256  # whose shapes are remembered
_ENCODER = msgspec.json.Encoder()  # writes a float ten times as fast as Python does
_text, _whole = json.encoder.encode_basestring, int.__repr__


def _quick(made: Decision) -> str | None:
    """``canonical`` with all numbers written at once; None where something is not as it usually is.

    Raises:
        TypeError, ValueError, OverflowError: the same.
    """
    get, features = _shape(tuple(made.features))
    if get is None:
        return None
    values = [*get(made.features), made.score]
    for one in made.reasons:
        values += (one.contribution, one.reference, one.value)
    pieces = _pieces(values)
    if pieces is None:
        return None
    n = len(made.features)
    reasons = ",".join(
        f'{{"contribution":{pieces[at]},"feature":{_text(one.feature)},"reference":{pieces[at + 1]},'
        f'"text":{_text(one.text)},"value":{pieces[at + 2]}}}'
        for at, one in zip(range(n + 1, len(pieces), 3), made.reasons, strict=True)
    )
    places = f'"places":{canonical_json(dict(made.places))},' if made.places else ""
    return (
        f'{{"band":{_text(made.band)},"decided_at":{_whole(made.decided_at)},'
        f'"definition_hash":{_text(made.definition_hash)},{features % tuple(pieces[:n])},'
        f'"keys":{canonical_json(dict(made.keys))},"model":{_text(made.model)},'
        f'"model_digest":{_text(made.model_digest)},"offset":{_whole(made.offset)},'
        f'{places}"policy":{_text(made.policy)},"policy_hash":{_text(made.policy_hash)},"reasons":[{reasons}],'
        f'"request":{canonical_json(dict(made.request))},"score":{pieces[n]},"time":{_whole(made.time)}}}'
    )


@lru_cache(_MODELS)
def _shape(names: tuple[str, ...]) -> tuple[Callable[[Mapping[str, Any]], tuple[Any, ...]] | None, str]:
    """How features are taken out in the order of their names, and how they are written.

    A model's names are the same in each of its decisions, and most of a record's text.
    """
    if len(names) < 2 or not all(isinstance(name, str) for name in names):
        return None, ""
    ordered = sorted(names)
    written = ",".join(f"{_text(name).replace('%', '%%')}:%s" for name in ordered)
    return itemgetter(*ordered), f'"features":{{{written}}}'


def _pieces(values: list[Any]) -> list[str] | None:
    """Numbers and nulls as ``canonical`` writes them; None if something else is among them.

    Both write the fewest digits that read back to the same bits; Python goes over to exponents sooner.
    """
    text = _ENCODER.encode(values).decode()
    pieces = text[1:-1].split(",")
    if '"' in text or len(pieces) != len(values) or pieces.count("null") != values.count(None):
        return None  # NaN is written as null there
    if "e" in text or "0.0000" in text:
        return [
            canonical_json(value) if "e" in piece or "0.0000" in piece else piece
            for value, piece in zip(values, pieces, strict=True)
        ]
    return pieces


def numbers(names: tuple[str, ...], row: Any) -> dict[str, float | None]:
    """An input vector, float64, shape (f,), by name; NaN as None."""
    return {
        name: None if value != value else value  # NaN alone is not equal to itself
        for name, value in zip(names, row.tolist(), strict=True)
    }
