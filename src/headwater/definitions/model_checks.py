"""What must hold between the parts of a model: its views, label, observation and expressions.

Called by ``model`` alone. Paths are relative to the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from headwater.core.errors import Problem
from headwater.core.instant import span_text
from headwater.definitions.compile import dtype_text
from headwater.definitions.definition import is_a, name_problems
from headwater.definitions.expression import CONDITION, VALUE, check
from headwater.definitions.label import Happens, Label, Outcome
from headwater.definitions.observe import Each, Every, Observe, Rolling
from headwater.definitions.stream import Stream, unknown
from headwater.definitions.view import FeatureView

Types = Mapping[str, pl.DataType]


def kind_problems(features: Any, label: Any, observe: Any, estimator: Any, retrain: Any) -> list[Problem]:
    """Parts that are something else altogether; further checks make no sense before these are mended."""
    parts = list(features) if isinstance(features, Sequence) else []
    problems = []
    if not parts or not all(isinstance(view, FeatureView) for view in parts):
        problems.append(_wrong("features", "a list of hw.FeatureView", features))
    if not isinstance(label, Happens | Outcome):
        problems.append(_wrong("label", "hw.happens(...) or hw.outcome(...)", label))
    if not isinstance(observe, Every | Each):
        problems.append(_wrong("observe", 'hw.every("30d") or hw.each(stream)', observe))
    for part, value in (("label", label), ("observe", observe)):
        if isinstance(value, Happens | Each) and not is_a(value.stream, Stream):
            problems.append(_wrong(f"{part}.stream", "an hw.Stream", value.stream))
    if retrain is not None and not isinstance(retrain, Rolling):
        problems.append(_wrong("retrain", "hw.rolling(every=..., window=...)", retrain))
    return problems + _estimator_problems(estimator)


def link_problems(
    features: Sequence[FeatureView],
    label: Label,
    observe: Observe,
    request: Sequence[str],
    retrain: Rolling | None,
) -> Iterator[Problem]:
    """Parts that do not fit each other."""
    yield from _noted(label=label, observe=observe, retrain=retrain)
    yield from _same_name_problems(features)
    keys: dict[str, pl.DataType] = {}
    for view in features:
        keys.setdefault(view.key, view.stream.schema[view.key])
    yield from _key_type_problems(features, keys)
    entity = features[0].key
    if isinstance(observe, Each):
        yield from _each_problems(observe, keys)
    elif len(keys) > 1:
        yield _many_keys(list(keys))
    if isinstance(label, Happens):
        yield from _happens_problems(label, entity, keys[entity])
    else:
        yield from _outcome_problems(label, observe, features, request)


def column_types(
    features: Sequence[FeatureView], request: Sequence[str], observe: Observe, derived: Mapping[str, pl.Expr]
) -> tuple[dict[str, pl.DataType], list[Problem]]:
    """All columns of a model with their types, in the order of the feature vector; and what is wrong.

    A request column of a model that observes at regular times comes from the caller, as Float64.
    """
    taken: dict[str, str] = {view.key: "the key" for view in features}
    types: dict[str, pl.DataType] = {}
    problems: list[Problem] = []
    for view in {view.name: view for view in features}.values():
        for output in view.outputs:
            problems += _claim(output.name, f"{view.name}.features.{output.feature}", "features", taken)
            types[output.name] = output.dtype
    for i, column in enumerate(request):
        found = _request_type(column, observe)
        problems += found if isinstance(found, list) else []
        types[column] = pl.Float64() if isinstance(found, list) else found
        problems += _claim(column, f"request[{i}]", f"request[{i}]", taken)
    known = dict(types)
    for name, expr in derived.items():
        where = f"derived.{name}"
        problems += name_problems(name, where, "derived column")
        problems += _claim(name, where, where, taken)
        dtype, wrong = check(expr, known, VALUE, where, "the features and request columns")
        problems += wrong
        types[name] = dtype or pl.Float64()
    return types, problems


def protected_problems(
    protected: Sequence[str], admitted: Sequence[str], types: Types, derived: Mapping[str, pl.Expr]
) -> Iterator[Problem]:
    """Protected columns that there are not, and ways in which one would reach the model unsaid."""
    known = [name for name, dtype in types.items() if not dtype.is_temporal()]
    for place, name in enumerate(protected):
        if name not in known:
            yield Problem(
                f"the protected column {name!r} is none of the model's",
                expected="one of " + ", ".join(known),
                got=repr(name),
                where=f"protected[{place}]",
                do="make it a feature with hw.last, or a request column",
            )
    for place, name in enumerate(admitted):
        if name not in protected:
            yield Problem(
                f"the column {name!r} is admitted as an input, but is not protected",
                expected="one of "
                + (", ".join(protected) or "the protected columns, of which there are none"),
                got=repr(name),
                where=f"protected_inputs[{place}]",
                do="name it in protected= too, or leave it out",
            )
    kept_out = set(protected) - set(admitted)
    if kept_out and not set(known) - kept_out:
        yield Problem(
            "every column of the model is protected",
            expected="at least one input that is not",
            got=", ".join(known),
            where="protected",
            do="give the model something to learn from",
        )
    for name, expr in derived.items():
        read = sorted(kept_out & _reads(expr)) if name not in kept_out else []
        if read:
            yield Problem(
                f"a derived input reads the protected column {read[0]!r}",
                expected="columns that are not protected",
                got=", ".join(read),
                where=f"derived.{name}",
                do="leave it out of the expression, or protect the derived column too",
            )


def _reads(expr: Any) -> set[str]:
    return set(expr.meta.root_names()) if isinstance(expr, pl.Expr) else set()


def _estimator_problems(estimator: Any) -> list[Problem]:
    if isinstance(estimator, type):
        got, do = f"the class {estimator.__name__}", f"call it: {estimator.__name__}()"
    elif not (hasattr(estimator, "fit") and hasattr(estimator, "predict_proba")):
        got, do = repr(estimator), "choose a classifier that gives probabilities, or wrap it in a calibrator"
    else:
        return []
    return [
        Problem(
            "the estimator cannot be fitted to give probabilities",
            expected="an object with fit and predict_proba",
            got=got,
            where="estimator",
            do=do,
        )
    ]


def _noted(**parts: Any) -> Iterator[Problem]:
    """Problems that the parts' constructors noted."""
    for name, part in parts.items():
        for problem in getattr(part, "problems", ()):
            yield Problem(problem.what, problem.expected, problem.got, f"{name}.{problem.where}", problem.do)


def _same_name_problems(features: Sequence[FeatureView]) -> Iterator[Problem]:
    names = Counter(view.name for view in features)
    for name, times in names.items():
        if times > 1:
            yield Problem(
                f"{times} feature views are called {name!r}",
                expected="views with different names, each listed once",
                got=", ".join(view.name for view in features),
                where="features",
                do="rename one of them, or list it once",
            )


def _key_type_problems(features: Sequence[FeatureView], keys: Types) -> Iterator[Problem]:
    for view in features:
        dtype = view.stream.schema[view.key]
        if dtype != keys[view.key]:
            yield _key_type(view.key, keys[view.key], dtype, f"features.{view.name}.key")


def _each_problems(observe: Each, keys: Types) -> Iterator[Problem]:
    place = f"the schema of {observe.stream.name}"
    for key, dtype in keys.items():
        yield from _has_key(observe.stream, key, dtype, "observe.stream")
    if observe.where is not None:
        yield from check(observe.where, observe.stream.schema, CONDITION, "observe.where", place)[1]


def _happens_problems(label: Happens, entity: str, dtype: pl.DataType) -> Iterator[Problem]:
    yield from _has_key(label.stream, entity, dtype, "label.stream")
    if label.where is not None:
        place = f"the schema of {label.stream.name}"
        yield from check(label.where, label.stream.schema, CONDITION, "label.where", place)[1]


def _outcome_problems(
    label: Outcome, observe: Observe, features: Sequence[FeatureView], request: Sequence[str]
) -> Iterator[Problem]:
    if isinstance(observe, Every):
        yield Problem(
            "an outcome is a column of the observed event, but no event is observed",
            expected="observe=hw.each(stream)",
            got="observe=hw.every(...)",
            where="label",
            do="observe each event of the stream that has the column, or use hw.happens",
        )
        return
    schema = observe.stream.schema
    yield from unknown(label.column, schema, "label.column", f"the schema of {observe.stream.name}")
    if label.column not in schema:
        return
    if not (schema[label.column].is_integer() or isinstance(schema[label.column], pl.Boolean)):
        yield Problem(
            "an outcome is neither true nor false",
            expected="a Boolean column, or an integer 0 or 1",
            got=dtype_text(schema[label.column]),
            where="label.column",
            do="declare the column as pl.Boolean",
        )
    yield from _leaks(label, observe.stream, features, request)


def _leaks(
    label: Outcome, stream: Stream, features: Sequence[FeatureView], request: Sequence[str]
) -> Iterator[Problem]:
    """Features that read the outcome of an event before it is known: of the observed one, to begin with."""
    if label.column in request:
        yield Problem(
            "the outcome is an input of its own model",
            expected="columns that are known when the event is scored",
            got=label.column,
            where="request",
            do="take it out of request=",
        )
    for view in features:
        for name, aggregate in view.features.items():
            reads = label.column in aggregate.reads
            if reads and view.stream.name == stream.name and aggregate.delay < max(label.known_after, 1):
                yield Problem(
                    "a feature reads the outcome before it is known",
                    expected=f"delay={span_text(max(label.known_after, 1))!r} or longer",
                    got=f"delay={span_text(aggregate.delay)!r}",
                    where=f"features.{view.name}.features.{name}",
                    do="let the window end when the outcome is known, with delay=",
                )


def _request_type(column: str, observe: Observe) -> pl.DataType | list[Problem]:
    if isinstance(observe, Every):
        return pl.Float64()
    schema = observe.stream.schema
    place = f"the schema of {observe.stream.name}"
    return schema[column] if column in schema else unknown(column, schema, "request", place)


def _claim(name: str, owner: str, where: str, taken: dict[str, str]) -> list[Problem]:
    """Take a column name, or the problem that another part has it already."""
    if taken.setdefault(name, owner) == owner:
        return []
    return [
        Problem(
            f"two columns would be called {name!r}",
            expected="different names for the keys, features, request columns and derived columns",
            got=f"{taken[name]} and {owner}",
            where=where,
            do="rename one of them",
        )
    ]


def _has_key(stream: Stream, key: str, dtype: pl.DataType, where: str) -> list[Problem]:
    if key not in stream.schema:
        return [
            Problem(
                f"the stream {stream.name} lacks the model's key",
                expected=f"a column {key}: {dtype_text(dtype)}",
                got=", ".join(stream.schema),
                where=where,
                do="add the key to the stream's events, or take another stream",
            )
        ]
    found = stream.schema[key]
    return [] if found == dtype else [_key_type(key, dtype, found, where)]


def _key_type(key: str, expected: pl.DataType, got: pl.DataType, where: str) -> Problem:
    return Problem(
        f"the key {key!r} has two types",
        expected=dtype_text(expected),
        got=dtype_text(got),
        where=where,
        do="declare it alike in all streams",
    )


def _many_keys(keys: list[str]) -> Problem:
    return Problem(
        "a model with several keys cannot be observed at regular times",
        expected="views of one key, or observe=hw.each(stream)",
        got="the keys " + ", ".join(keys),
        where="observe",
        do="observe each event of a stream that has all the keys",
    )


def _wrong(part: str, expected: str, got: object) -> Problem:
    return Problem(
        f"{part} is something else", expected=expected, got=repr(got), where=part, do=f"give {expected}"
    )
