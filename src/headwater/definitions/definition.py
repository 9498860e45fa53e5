"""What every definition is: a frozen value, equal to another when their canonical JSON is equal.

The base of ``Stream``, ``FeatureView``, ``Model``, ``Policy`` and ``Project``, and of the smaller values
inside them. Read ``compile`` for the canonical form and ``stream`` for the first concrete one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from headwater.core.errors import Problem
from headwater.definitions.compile import canonical_json

Value = TypeVar("Value")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Definition:
    """Base of all definitions. Subclasses are frozen dataclasses without generated ``__eq__``."""

    refers: ClassVar[frozenset[str]] = frozenset()  # fields that stand for another definition by its name
    hidden: ClassVar[frozenset[str]] = frozenset()  # fields that are no part of the meaning
    optional: ClassVar[frozenset[str]] = (
        frozenset()
    )  # fields that are compiled only where they hold something
    also: ClassVar[tuple[str, ...]] = ()  # properties that are part of the meaning: an order, say
    gathers: ClassVar[tuple[str, ...]] = ()  # properties compiled as a table of named definitions

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @cached_property
    def _canonical(self) -> str:
        return canonical_json(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or not isinstance(other, Definition):
            return NotImplemented
        return self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash(self._canonical)

    def __reduce__(self) -> tuple[Any, ...]:
        init = {f.name: getattr(self, f.name) for f in fields(self) if f.init}  # type: ignore[arg-type]
        return _rebuilt, (type(self), {name: _thawed(value) for name, value in init.items()})


def frozen(mapping: Mapping[str, Value]) -> Mapping[str, Value]:
    """A copy of the mapping that cannot be changed."""
    return MappingProxyType(dict(mapping))


def name_problems(name: object, where: str, noun: str) -> list[Problem]:
    """The problem of a name that is no identifier, or none."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return []
    return [
        Problem(
            f"the name of a {noun} is not an identifier",
            expected="letters, digits and underscores, not starting with a digit",
            got=repr(name),
            where=where,
            do="rename it, for example to 'balance_min'",
        )
    ]


def is_a(value: object, kind: type) -> bool:
    """Whether a user gave what the signature says; plain ``isinstance``, unseen by the type checker."""
    return isinstance(value, kind)


def path(name: object, kind: type) -> str:
    """How errors call a definition: by its name if it has a usable one, else by its kind."""
    return name if isinstance(name, str) and name else kind.__name__


def _thawed(value: object) -> object:
    return dict(value) if isinstance(value, MappingProxyType) else value


def _rebuilt(kind: type[Definition], init: dict[str, Any]) -> Definition:
    return kind(**init)
