"""A feature view: features of one key over one stream.

Written by the user; compiled by ``engine.plan`` into state and kernels. Here every aggregate is checked
against the stream's columns, and each window becomes one named output. Read ``aggregate`` for what a
feature can be, ``model`` for who uses views.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import polars as pl

from headwater.core.errors import DefinitionError, Problem
from headwater.core.instant import span_text
from headwater.definitions.aggregate import COLUMNLESS, NUMERIC, Aggregate
from headwater.definitions.compile import compiled, dtype_text, hash_of
from headwater.definitions.definition import Definition, frozen, is_a, name_problems, path
from headwater.definitions.expression import CONDITION, NUMBER, ORDERED, VALUE, check
from headwater.definitions.spans import under
from headwater.definitions.stream import Stream, unknown


@dataclass(frozen=True, slots=True)
class FeatureOutput:
    """One column of a view: a feature over one of its windows.

    Attributes:
        name: ``n_7d`` for the feature ``n`` over 7 days; the feature's own name if it has no window.
        aggregate: how it is computed.
        over: the window's span in microseconds; ``None`` means since forever.
        dtype: the column's type.
        feature: the feature's name.
    """

    name: str
    aggregate: Aggregate
    over: int | None
    dtype: pl.DataType
    feature: str = ""


@dataclass(frozen=True, init=False, eq=False)
class FeatureView(Definition):
    """Features of one key over one stream.

    Args:
        name: an identifier, unique in the project.
        stream: the events.
        key: the stream's column that says whose features these are: an integer, String, Enum,
            Categorical or Boolean.
        features: name to aggregation.

    Attributes:
        outputs: the columns that come out, in the order of the features and their windows.

    Raises:
        DefinitionError: with all problems of the view and of all its features at once.

    Example:
        >>> import polars as pl
        >>> import headwater as hw
        >>> visits = hw.Stream("visits", {"user": pl.Int64, "time": pl.Datetime("us", "UTC")})
        >>> view = FeatureView("activity", visits, key="user", features={"n": hw.count(over=["7d", "30d"])})
        >>> [output.name for output in view.outputs]
        ['n_7d', 'n_30d']
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"outputs"})

    name: str
    stream: Stream
    key: str
    features: Mapping[str, Aggregate]
    outputs: tuple[FeatureOutput, ...] = field(init=False, repr=False)

    def __init__(self, name: str, stream: Stream, key: str, features: Mapping[str, Aggregate]) -> None:
        where = path(name, FeatureView)
        problems = name_problems(name, f"{where}.name", "feature view")
        outputs: list[FeatureOutput] = []
        if not is_a(stream, Stream):
            problems.append(_not_a("stream", "an hw.Stream", stream, where))
        else:
            problems += key_problems(stream, key, f"{where}.key")
            outputs = _outputs(stream, features, f"{where}.features", problems)
            problems += _clashes(outputs, key, where)
        DefinitionError.raise_if(problems)
        self._set(name=name, stream=stream, key=key, features=frozen(features), outputs=tuple(outputs))

    @property
    def reads(self) -> list[str]:
        """The columns of the stream that its features read, each once; the key only if one does.

        Example:
            >>> import polars as pl
            >>> import headwater as hw
            >>> schema = {"user": pl.Int64, "time": pl.Datetime("us", "UTC"), "cost": pl.Float64}
            >>> features = {"n": hw.count(), "paid": hw.sum("cost")}
            >>> FeatureView("activity", hw.Stream("visits", schema), key="user", features=features).reads
            ['cost']
        """
        return list(dict.fromkeys(name for aggregate in self.features.values() for name in aggregate.reads))

    @property
    def notices(self) -> tuple[Problem, ...]:
        """What is allowed, but should be known: features that read personal columns."""
        return tuple(
            Problem(
                f"a feature reads the personal column {column!r}",
                where=f"{self.name}.features.{name}",
                do="see whether the feature may be used; erasing a subject erases it too",
            )
            for name, aggregate in self.features.items()
            for column in aggregate.reads
            if column in self.stream.personal
        )


def view_hash(view: FeatureView) -> str:
    """The hash that keys a view's state: it covers what the values depend on, and nothing else.

    The name, the stream's name, id and time, the key, and the features with the types of the columns that
    they read. Neither the order of the stream's columns counts nor those that no feature reads. The order
    of the features does, unlike in :func:`content_hash`: a state is laid out by it.
    """
    schema = view.stream.schema
    used = sorted({view.key, view.stream.time, *view.reads, *([view.stream.id] if view.stream.id else [])})
    return hash_of(
        {
            **compiled(view),
            "outputs": [output.name for output in view.outputs],
            "stream": {
                "name": view.stream.name,
                "id": view.stream.id,
                "time": view.stream.time,
                "schema": {column: dtype_text(schema[column]) for column in used},
            },
        }
    )


def key_problems(stream: Stream, key: str, where: str) -> list[Problem]:
    """Problems of a column as an entity key of a stream."""
    if key not in stream.schema:
        return unknown(key, stream.schema, where, f"the schema of {stream.name}")
    dtype = stream.schema[key]
    if dtype.is_integer() or isinstance(dtype, pl.String | pl.Enum | pl.Categorical | pl.Boolean):
        return []
    return [
        Problem(
            "a key has a type that cannot tell entities apart exactly",
            expected="an integer, String, Enum, Categorical or Boolean",
            got=dtype_text(dtype),
            where=where,
            do="choose another key, or declare the column as pl.Int64 or pl.String",
        )
    ]


def _outputs(stream: Stream, features: Any, where: str, problems: list[Problem]) -> list[FeatureOutput]:
    if not isinstance(features, Mapping) or not features:
        problems.append(
            Problem(
                "a feature view needs features",
                expected="a mapping from name to aggregation",
                got=repr(features),
                where=where,
                do='name at least one: features={"n": hw.count(over="7d")}',
            )
        )
        return []
    outputs: list[FeatureOutput] = []
    for name, aggregate in features.items():
        place = f"{where}.{name}"
        problems += name_problems(name, place, "feature")
        if not isinstance(aggregate, Aggregate):
            problems.append(_not_a(str(name), "an aggregation such as hw.count()", aggregate, where))
            continue
        dtype, found = _check_aggregate(aggregate, stream)
        problems += under(place, [*aggregate.problems, *found])
        outputs += [
            FeatureOutput(f"{name}_{span_text(over)}" if over else name, aggregate, over, dtype, name)
            for over in ([] if aggregate.problems else aggregate.over)
        ]
    return outputs


def _check_aggregate(aggregate: Aggregate, stream: Stream) -> tuple[pl.DataType, list[Problem]]:
    """The output type of an aggregate over a stream, and what is wrong with it."""
    problems: list[Problem] = []
    read: pl.DataType | None = None
    place = f"the schema of {stream.name}"
    if aggregate.op not in COLUMNLESS:
        ordered = aggregate.op in ("min", "max")
        wanted = ORDERED if ordered else NUMBER if aggregate.op in NUMERIC else VALUE
        read, found = check(aggregate.column, stream.schema, wanted, "column", place)
        problems += found
    if aggregate.where is not None:
        problems += check(aggregate.where, stream.schema, CONDITION, "where", place)[1]
    return aggregate.result(read), problems


def _clashes(outputs: list[FeatureOutput], key: str, where: str) -> list[Problem]:
    features: dict[str, list[str]] = {}
    for output in outputs:
        features.setdefault(output.name, []).append(output.feature)
    return [
        Problem(
            f"two columns would be called {name!r}",
            expected="different names for the key and all features",
            got=" and ".join(["the key"] * (name == key) + [f"features.{feature}" for feature in made]),
            where=where,
            do="rename one of them",
        )
        for name, made in features.items()
        if len(made) + (name == key) > 1
    ]


def _not_a(what: str, expected: str, got: object, where: str) -> Problem:
    return Problem(
        f"{what} is something else",
        expected=expected,
        got=repr(got),
        where=f"{where}.{what}",
        do=f"give {expected}",
    )
