"""The decisions of a policy as rows, each with the features that it rested on.

The records themselves stay where they are, with their hash chain (``store.decisions``); a row carries its
link, so that it can be held against its record. Called by ``export``, as a ``source.Source``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from headwater.definitions.model import Model
from headwater.definitions.personal import personal_inputs
from headwater.definitions.policy import Policy
from headwater.scale.lake.private import Private
from headwater.scale.lake.source import Chunk, plain
from headwater.scale.lake.table import Column, Table, Unit, nameable
from headwater.store import protocol
from headwater.store.decision import canonical_json
from headwater.store.decisions import Record

ROWS = 16_384  # at a time
_CLOCK = pl.Datetime("us", "UTC")

_OWN = (
    Column("number", "int64", "The record's number, from 1; unique over all policies."),
    Column("decision_id", "string", "What the decision is called, such as d17."),
    Column("decided_at", "timestamp", "When it was decided, UTC."),
    Column("as_of", "timestamp", "As of when its features are, UTC."),
    Column("log_offset", "int64", "The last place in the log that they may rest on."),
    Column("model", "string", "Whose score it is."),
    Column("model_digest", "string", "The seal of the model's artifact."),
    Column("definition_hash", "string", "The hash of the model's definition."),
    Column("policy_hash", "string", "The hash of the policy."),
    Column("chain", "string", "The record's link in the hash chain, hexadecimal."),
    Column("score", "float64", "The score."),
    Column("band", "string", "The outcome."),
    Column("reasons", "string", "Why, the strongest first, as JSON."),
    Column("request", "string", "What came with the request, as JSON."),
    Column(
        "other_features", "string", "Inputs of earlier definitions that have no column, as JSON, or null."
    ),
)


class Decisions:
    """The decisions of a policy.

    Args:
        store: the records.
        policy: whose.
        private: what becomes of personal keys; inputs and request columns that are made of personal ones are
            left out unless they are asked for as they are: of a number, a hash is of no use.
        unit: of the partitions.

    Raises:
        DataError: a key or an input has a name that a lake cannot have.
    """

    def __init__(
        self, store: protocol.Decisions, policy: Policy, private: Private, unit: Unit = "day"
    ) -> None:
        self._store = store
        self._policy = policy
        self._private = private
        self._keys = key_types(policy.model)
        personal = frozenset(personal_inputs(policy.model))
        self._personal = personal
        self._hidden = frozenset() if private.mode == "plain" else personal
        self.table = nameable(decisions_table(policy, private, unit))

    def end(self) -> int:
        """The number of the last record, of whatever policy."""
        return len(self._store)

    def mark(self, place: int) -> str:
        """The last record's link."""
        return "" if place == 0 else self._store.get(place).chain.hex()

    def chunks(self, start: int, stop: int) -> Iterator[Chunk]:
        """The policy's decisions behind the number ``start``, up to ``stop``."""
        held: list[Record] = []
        for record in self._store.scan(after=start, until_number=stop, policy=self._policy.name):
            held.append(record)
            if len(held) >= ROWS:
                yield self._chunk(held, record.number)
                held = []
        yield self._chunk(held, stop)

    def _chunk(self, records: list[Record], reached: int) -> Chunk:
        times = {
            "decided_at": pl.Series([one.decision.decided_at for one in records], dtype=pl.Int64).cast(
                _CLOCK
            ),
            "as_of": pl.Series([one.decision.time for one in records], dtype=pl.Int64).cast(_CLOCK),
        }
        rows = [self._row(one) for one in records]
        schema = {name: dtype for name, dtype in self.table.schema.items() if name not in times}
        frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema)
        keys = self._key_columns(records)
        frame = frame.with_columns(**times, **keys)
        return Chunk(reached, self.table.fit(frame), times["decided_at"].cast(pl.Date))

    def _key_columns(self, records: list[Record]) -> dict[str, pl.Series]:
        found = {
            name: plain(pl.Series([one.decision.keys.get(name) for one in records], dtype=_holder(dtype)))
            for name, dtype in self._keys.items()
        }
        return {f"key_{name}": values for name, values in self._private.of(found, self._personal).items()}

    def _row(self, record: Record) -> dict[str, Any]:
        made, hidden = record.decision, self._hidden
        features = {name: value for name, value in made.features.items() if name not in hidden}
        known = {name: features.pop(name) for name in self._policy.model.inputs if name in features}
        if hidden:
            features = {}  # of an earlier definition, and may be made of anything
        return {
            "number": record.number,
            "decision_id": record.id,
            "log_offset": made.offset,
            "model": made.model,
            "model_digest": made.model_digest,
            "definition_hash": made.definition_hash,
            "policy_hash": made.policy_hash,
            "chain": record.chain.hex(),
            "score": made.score,
            "band": made.band,
            "reasons": canonical_json([_shown(one, hidden) for one in made.to_json()["reasons"]]),
            "request": canonical_json({n: v for n, v in made.request.items() if n not in hidden}),
            "other_features": canonical_json(features) if features else None,
        } | {f"feature_{name}": value for name, value in known.items()}


def decisions_table(policy: Policy, private: Private, unit: Unit) -> Table:
    """The table of a policy, as it follows from its definition."""
    model, personal = policy.model, personal_inputs(policy.model)
    keys = {
        name: private.column(f"key_{name}", dtype, f"Whom it is about: `{name}`.", personal=name in personal)
        for name, dtype in key_types(model).items()
    }
    inputs = {
        name: Column(f"feature_{name}", "float64", f"The input `{name}`.", "plain" * (name in personal))
        for name in model.inputs
        if private.mode == "plain" or name not in personal
    }
    left_out = [f"key_{name}" for name, one in keys.items() if one is None]
    left_out += [f"feature_{name}" for name in model.inputs if name not in inputs]
    return Table(
        f"decisions/{policy.name}",
        f"The decisions of the policy {policy.name}, one row each with its inputs.",
        (*_OWN, *(one for one in keys.values() if one is not None), *inputs.values()),
        f"decided_{'date' if unit == 'day' else 'month'}",
        "number",
        unit,
        tuple(left_out),
    )


def key_types(model: Model) -> Mapping[str, pl.DataType]:
    """The types of a model's keys, as the streams declare them."""
    return {view.key: view.stream.schema[view.key] for view in reversed(model.features)}


def _shown(reason: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """A reason without the value of an input that is left out."""
    gone = {"value": None, "reference": None} if reason["feature"] in hidden else {}
    return {**reason, **gone}


def _holder(dtype: pl.DataType) -> pl.DataType:
    """The type of keys as records have them: texts for categories, however the stream has declared them."""
    return pl.String() if isinstance(dtype, pl.Enum | pl.Categorical) else dtype
