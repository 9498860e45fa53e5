"""The canonical form of a definition: plain JSON with sorted keys, its hash, and what changed.

The hash is stamped on snapshots, training sets, models and decisions; ``headwater plan`` shows the
difference between two forms. Works on any dataclass by its fields, so that it stands below all concrete
definitions. Polars expressions become Polars' own JSON; spans are int microseconds. The way back is
``restoring``.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, NoReturn

import polars as pl

from headwater.core.errors import DefinitionError
from headwater.core.instant import span_text

Json = Any  # dict, list, str, int, float, bool or None

_SPANS = frozenset({"over", "delay", "half_life", "within", "known_after", "span", "window", "lateness"})


def compiled(definition: object) -> dict[str, Json]:
    """The definition as plain JSON values, keys sorted.

    Example:
        >>> import headwater as hw
        >>> compiled(hw.every("1d"))
        {'kind': 'every', 'span': 86400000000}
    """
    return _definition(definition, by_name=False)


def canonical_json(definition: object) -> str:
    """The compiled definition as one line of JSON: the text that is hashed."""
    return _text(compiled(definition))


def content_hash(definition: object) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return hash_of(compiled(definition))


def hash_of(value: Json) -> str:
    """SHA-256 of plain JSON values in canonical form, 64 hex digits."""
    return hashlib.sha256(_text(value).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Remembered:
    """An estimator of which only the canonical form is known: it compiles to that, and does nothing else.

    Attributes:
        form: class path and parameters, as :func:`compiled` gave them.
    """

    form: Json

    def fit(self, X: Any, y: Any) -> NoReturn:  # noqa: ARG002 - scikit-learn's shape
        """Refused.

        Raises:
            DefinitionError: always.
        """
        raise DefinitionError.of(
            "a definition that was kept for replay cannot be trained",
            expected="a project file, whose estimator is an object",
            got=str(self.form.get("class", "an estimator")) if isinstance(self.form, Mapping) else None,
            do="train from the project file",
        )

    predict_proba = fit


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two compiled definitions; ``None`` where a side has nothing there.

    Example:
        >>> print(Change("views.behaviour.features.n.over", "7d", "7d, 30d"))
        views.behaviour.features.n.over: 7d -> 7d, 30d
    """

    path: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.path}: new, {self.new}"
        if self.new is None:
            return f"{self.path}: gone, was {self.old}"
        return f"{self.path}: {self.old} -> {self.new}"


def difference(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[Change]:
    """What changed between two compiled definitions, in the order of their paths.

    Example:
        >>> import headwater as hw
        >>> for change in difference(compiled(hw.every("1d")), compiled(hw.every("2d"))):
        ...     print(change)
        span: 1d -> 2d
    """
    return list(_changes("", old, new))


def _definition(value: Any, by_name: bool) -> dict[str, Json]:
    form: dict[str, Json] = {"kind": _snake(type(value).__name__)}
    unused = {name for name in value.optional if not getattr(value, name)}  # so that older hashes hold
    hidden = {*value.hidden, *value.gathers, *unused}
    for name in (*(f.name for f in fields(value)), *value.also):
        if name not in hidden:
            form[name] = _plain(getattr(value, name), by_name or name in value.refers)
    for name in value.gathers:
        form[name] = {part.name: _definition(part, by_name=True) for part in getattr(value, name)}
    return dict(sorted(form.items()))


def _plain(value: Any, by_name: bool) -> Json:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, pl.Expr):
        return {"expr": _sorted(json.loads(value.meta.serialize(format="json")))}
    if isinstance(value, pl.DataType):
        return dtype_text(value)
    if hasattr(type(value), "gathers"):  # a definition inside a definition
        return value.name if by_name and hasattr(value, "name") else _definition(value, by_name)
    if isinstance(value, Mapping):
        return {
            str(key): _plain(item, by_name) for key, item in sorted(value.items(), key=lambda i: str(i[0]))
        }
    if isinstance(value, list | tuple):
        return [_plain(item, by_name) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item, by_name) for item in value), key=_text)
    return _foreign(value)


def _foreign(value: Any) -> Json:
    """Estimators and what they hold: a class by its path, an object by its class and parameters."""
    if isinstance(value, Remembered):
        return value.form
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return {"name": f"{value.__module__}.{value.__qualname__}"}
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist(), False)
    return {"class": _class_path(value), "params": _plain(_params(value), False)}


def _params(value: Any) -> dict[str, Any]:
    get_params: Callable[..., dict[str, Any]] | None = getattr(value, "get_params", None)
    if get_params is not None:
        return get_params(deep=False)
    return {name: item for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("_")}


def _class_path(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def dtype_text(dtype: pl.DataType) -> str:
    """A data type as text, complete and stable: ``Enum(['credit', 'debit'])``."""
    if isinstance(dtype, pl.Enum):
        return f"Enum({dtype.categories.to_list()})"
    return str(dtype)


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def _changes(path: str, old: Json, new: Json) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping) and "expr" not in old and "expr" not in new:
        for key in sorted({*old, *new}):
            yield from _changes(f"{path}.{key}" if path else key, old.get(key, _GONE), new.get(key, _GONE))
    elif old != new:
        key = path.rpartition(".")[2]
        yield Change(path, _shown(key, old), _shown(key, new))


_GONE = object()


def _shown(key: str, value: Json) -> str | None:
    """A compiled value as a person would write it."""
    if value is _GONE:
        return None
    if value is None:
        return "forever" if key == "over" else "none"
    if isinstance(value, Mapping) and value.keys() == {"expr"}:
        return _expression_text(value["expr"])
    if isinstance(value, list):
        return ", ".join(str(_shown(key, item)) for item in value)
    if key in _SPANS and isinstance(value, int):
        return span_text(value)
    if isinstance(value, Mapping) and "kind" in value:
        return str(value.get("name", value.get("op", value["kind"])))
    return value if isinstance(value, str) else _text(value)


def _expression_text(tree: Json) -> str:
    try:
        return str(pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json"))
    except pl.exceptions.PolarsError:  # written by another version of Polars
        return _text(tree)
