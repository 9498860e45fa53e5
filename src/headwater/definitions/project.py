"""A project: the models and policies of one file, and how late events may come.

The root of all definitions: found by ``loading``, compiled by ``compile``, run by everything above.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from headwater.core.errors import DefinitionError, Problem
from headwater.definitions.definition import Definition, name_problems, path
from headwater.definitions.label import Happens
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.policy import Policy
from headwater.definitions.spans import Span, read_span
from headwater.definitions.stream import Stream
from headwater.definitions.view import FeatureView


@dataclass(frozen=True, init=False, eq=False)
class Project(Definition):
    """What one project folder runs.

    Args:
        name: an identifier.
        models: with different names. Streams and views that they share by name must be equal.
        policies: with different names, each for one of the models.
        lateness: events older than this on arrival go to the dead letters; ``None`` for no bound. Held in
            microseconds.

    Raises:
        DefinitionError: with all problems at once.
    """

    gathers: ClassVar[tuple[str, ...]] = ("streams", "views", "models", "policies")

    name: str
    models: tuple[Model, ...]
    policies: tuple[Policy, ...]
    lateness: int | None

    def __init__(
        self,
        name: str,
        models: Sequence[Model],
        policies: Sequence[Policy] = (),
        lateness: Span | None = None,
    ) -> None:
        where = path(name, Project)
        problems = name_problems(name, f"{where}.name", "project")
        bound = None if lateness is None else read_span(lateness, f"{where}.lateness", problems)
        known = _listed(models, Model, f"{where}.models", problems)
        chosen = _listed(policies, Policy, f"{where}.policies", problems)
        if not known:
            problems.append(
                Problem(
                    "a project needs a model",
                    expected="at least one hw.Model",
                    got=repr(models),
                    where=f"{where}.models",
                    do="list it: models=[my_model]",
                )
            )
        self._set(name=name, models=known, policies=chosen, lateness=bound)
        for noun, parts in self._parts().items():
            problems += _clashes(noun, parts, where)
        problems += [_stray(policy, where) for policy in chosen if policy.model not in known]
        DefinitionError.raise_if(problems)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The distinct streams of all views, labels and observations, in order of appearance."""
        return tuple({stream.name: stream for stream in reversed(list(self._all_streams()))}.values())[::-1]

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """The distinct feature views of all models, in order of appearance."""
        return tuple({view.name: view for view in self._all_views()}.values())

    @property
    def notices(self) -> tuple[Problem, ...]:
        """What is allowed, but should be known before going live."""
        return tuple(notice for view in self.views for notice in view.notices)

    def _all_views(self) -> Iterable[FeatureView]:
        return (view for model in self.models for view in model.features)

    def _all_streams(self) -> Iterable[Stream]:
        yield from (view.stream for view in self._all_views())
        for model in self.models:
            if isinstance(model.observe, Each):
                yield model.observe.stream
            if isinstance(model.label, Happens):
                yield model.label.stream

    def _parts(self) -> dict[str, list[Any]]:
        return {
            "stream": list(self._all_streams()),
            "feature view": list(self._all_views()),
            "model": list(self.models),
            "policy": list(self.policies),
        }


def _listed(parts: Any, kind: type, where: str, problems: list[Problem]) -> tuple[Any, ...]:
    items = tuple(parts) if isinstance(parts, Iterable) else (parts,)
    wrong = [(i, item) for i, item in enumerate(items) if not isinstance(item, kind)]
    problems += [
        Problem(
            "a part of the project is something else",
            expected=f"an hw.{kind.__name__}",
            got=repr(item),
            where=f"{where}[{i}]",
            do=f"give an hw.{kind.__name__}",
        )
        for i, item in wrong
    ]
    return tuple(dict.fromkeys(item for item in items if isinstance(item, kind)))


def _clashes(noun: str, parts: list[Any], where: str) -> list[Problem]:
    """Different definitions under one name."""
    seen: dict[str, Any] = {}
    clashing = [part.name for part in parts if seen.setdefault(part.name, part) != part]
    return [
        Problem(
            f"two different definitions of one {noun} are called {name!r}",
            expected="one definition for each name",
            got=f"{len({part for part in parts if part.name == name})} that differ",
            where=where,
            do="rename one, or use the same object in both places",
        )
        for name in dict.fromkeys(clashing)
    ]


def _stray(policy: Policy, where: str) -> Problem:
    return Problem(
        "a policy reads a model that is not in the project",
        expected="one of the project's models",
        got=policy.model.name,
        where=f"{where}.policies.{policy.name}",
        do=f"add {policy.model.name} to models=",
    )
