"""From the canonical form of a definition back to the definition: the inverse of ``compile``.

What decided once can so be run again without the file that defined it. No code is run: expressions are read
by Polars, data types by their names, and the estimator stays a name (``compile.Remembered``), since the
fitted one lies in the model's artifact. Whatever comes back has the hash that it was kept under, or it does
not come back. Called by ``apps.archive``; forms are kept by ``store.definitions``.
"""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import polars as pl

from headwater.core.errors import DefinitionError, HeadwaterError
from headwater.core.instant import span_text
from headwater.definitions.aggregate import Aggregate
from headwater.definitions.compile import Json, Remembered, content_hash, hash_of
from headwater.definitions.definition import Definition
from headwater.definitions.label import Happens, Label, Outcome
from headwater.definitions.model import Model
from headwater.definitions.observe import Each, Every, Observe, Rolling
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView

Form = Mapping[str, Json]
Kind = TypeVar("Kind", bound=Definition)

_PLAIN: Mapping[str, type[pl.DataType]] = {
    kind.__name__: kind
    for kind in (
        *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
        *(pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Categorical, pl.Date),
    )
}
_CODE = ("Anonymous", "Python", "Plugin", "FfiPlugin")  # what in an expression could run a program


def restored_model(form: Form) -> Model:
    """A model from its canonical form; it can be served and replayed, not trained.

    Raises:
        DefinitionError: the form is none of a model, or Polars or Headwater reads it otherwise today.

    Example:
        >>> import headwater as hw
        >>> from headwater.definitions.compile import compiled
        >>> from sklearn.linear_model import LogisticRegression
        >>> visits = hw.Stream("visits", {"user": pl.Int64, "time": pl.Datetime("us", "UTC")})
        >>> view = hw.FeatureView("activity", visits, "user", {"n": hw.count(over="7d")})
        >>> soon = hw.happens(visits, within="7d")
        >>> model = hw.Model("returns", [view], soon, hw.every("7d"), LogisticRegression())
        >>> restored_model(compiled(model)) == model
        True
    """
    return _restored(form, "model", lambda: _model(form, _Whole()))


def restored_policy(form: Form, model: Model) -> Policy:
    """A policy from its canonical form, which names its model only.

    Raises:
        DefinitionError: as for :func:`restored_model`.
    """
    return _restored(form, "policy", lambda: _policy(form, model))


def restored_project(form: Form) -> Project:
    """A project from its canonical form.

    Raises:
        DefinitionError: as for :func:`restored_model`.
    """
    return _restored(form, "project", lambda: _project(form))


def _restored(form: Form, kind: str, make: Callable[[], Kind]) -> Kind:
    found = form.get("kind")
    if found != kind:
        raise _unreadable(form, expected=f"a {kind}", got=repr(found))
    try:
        made = make()
    except HeadwaterError as error:
        raise _unreadable(form, got=error.problems[0].what) from error
    except (KeyError, TypeError, ValueError, AttributeError, pl.exceptions.PolarsError) as error:
        raise _unreadable(form, got=type(error).__name__) from error
    if content_hash(made) != hash_of(form):
        raise _unreadable(form, got=f"it comes back as {content_hash(made)}")
    return made


def _unreadable(form: Form, *, expected: str | None = None, got: str) -> DefinitionError:
    return DefinitionError.of(
        "a kept definition cannot be read back",
        expected=expected or f"the definition of the hash {hash_of(form)}",
        got=f"{got}, with Polars {pl.__version__}",
        where=str(form.get("name", form.get("kind"))),
        do="use the versions of Headwater and Polars that kept it, or the project file of that time",
    )


class _Whole:
    """Parts that stand in a form as a whole."""

    def stream(self, form: Json) -> Stream:
        return _stream(form)

    def view(self, form: Json, inputs: Sequence[str]) -> FeatureView:
        return _view(form, _stream(form["stream"]), inputs)


class _Named(_Whole):
    """Parts that stand in a form by their names, as in that of a project."""

    def __init__(self, project: Form) -> None:
        self._streams = {name: _stream(form) for name, form in project["streams"].items()}
        self._views = project["views"]

    def stream(self, form: Json) -> Stream:
        return self._streams[form]

    def view(self, form: Json, inputs: Sequence[str]) -> FeatureView:
        kept = self._views[form]
        return _view(kept, self._streams[kept["stream"]], inputs)


def _project(form: Form) -> Project:
    parts = _Named(form)
    models = {name: _model(kept, parts) for name, kept in form["models"].items()}
    policies = [_policy(kept, models[kept["model"]]) for kept in form["policies"].values()]
    return Project(form["name"], list(models.values()), policies, form["lateness"])


def _model(form: Form, parts: _Whole) -> Model:
    inputs = form["inputs"]
    derived = {name: _expression(kept) for name, kept in form["derived"].items()}
    return Model(
        form["name"],
        features=[parts.view(view, inputs) for view in form["features"]],
        label=_label(form["label"], parts),
        observe=_observe(form["observe"], parts),
        estimator=Remembered(form["estimator"]),
        derived={name: derived[name] for name in sorted(derived, key=_placed(inputs))},
        request=form["request"],
        retrain=None
        if form["retrain"] is None
        else Rolling(form["retrain"]["every"], form["retrain"]["window"]),
    )


def _policy(form: Form, model: Model) -> Policy:
    bands = dict(sorted(form["bands"].items(), key=lambda band: float(band[1])))
    return Policy(form["name"], model, bands, form["reasons"], form["max_reasons"])


def _stream(form: Form) -> Stream:
    schema = {name: _dtype(text) for name, text in form["schema"].items()}
    return Stream(form["name"], schema, form["id"], form["time"], form["personal"])


def _view(form: Form, stream: Stream, inputs: Sequence[str]) -> FeatureView:
    """A view whose features stand in the order of the vector: the canonical form sorts them by name."""
    made = {name: _aggregate(kept) for name, kept in form["features"].items()}
    place = _placed(inputs)

    def first(name: str) -> tuple[int, str]:
        return min(place(output) for output in _outputs(name, made[name]))[0], name

    ordered = {name: made[name] for name in sorted(made, key=first)}
    return FeatureView(form["name"], stream, form["key"], ordered)


def _outputs(name: str, aggregate: Aggregate) -> Iterator[str]:
    return (f"{name}_{span_text(over)}" if over else name for over in aggregate.over)


def _placed(inputs: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    """Where a column stands in the vector; dates and times, which are in none, behind all that do."""
    place = {name: number for number, name in enumerate(inputs)}
    return lambda name: (place.get(name, len(place)), name)


def _aggregate(form: Form) -> Aggregate:
    return Aggregate(
        op=form["op"],
        column=_expression(form["column"]),
        where=_expression(form["where"]),
        over=tuple(form["over"]),
        delay=form["delay"],
        half_life=form["half_life"],
        q=form["q"],
    )


def _label(form: Form, parts: _Whole) -> Label:
    if form["kind"] == "outcome":
        return Outcome(form["column"], form["known_after"])
    return Happens(parts.stream(form["stream"]), _expression(form["where"]), form["within"], form["delay"])


def _observe(form: Form, parts: _Whole) -> Observe:
    if form["kind"] == "every":
        return Every(form["span"])
    return Each(parts.stream(form["stream"]), _expression(form["where"]))


def _retrain(form: Json) -> Rolling | None:
    return None if form is None else Rolling(form["every"], form["window"])


def _expression(form: Json) -> Any:
    """A Polars expression, or None where there is none; one that could run a program is not read at all."""
    if form is None:
        return None
    tree = form["expr"]
    if any(kind.startswith(_CODE) for kind in _kinds(tree)):
        raise DefinitionError.of("an expression of a kept definition holds a program")
    return pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")


def _kinds(tree: Json) -> Iterator[str]:
    """All names in an expression that could be those of an operation."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for name, part in tree.items():
            if name not in ("Column", "String"):  # the names and texts of the user
                yield name
                yield from _kinds(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _kinds(part)


def _dtype(text: str) -> pl.DataType:
    """The inverse of ``compile.dtype_text``."""
    if text in _PLAIN:
        return _PLAIN[text]()
    call = ast.parse(text, mode="eval").body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise ValueError(text)  # noqa: TRY004 - of the text, not of a Python type
    given = [ast.literal_eval(one) for one in call.args]
    named = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    if call.func.id == "Enum":
        return pl.Enum(*given)
    if call.func.id == "Datetime":
        return pl.Datetime(**named)
    raise ValueError(text)
