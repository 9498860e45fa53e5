"""Models and policies of a project, by their names. Called by ``retraining`` and ``apps``."""

from __future__ import annotations

from difflib import get_close_matches

from headwater.core.errors import TrainingError
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project


def find_model(project: Project, name: str | None) -> Model:
    """A model of the project by its name; the only one if none is named.

    Raises:
        TrainingError: there is no such model, or several and none is named.
    """
    known = {model.name: model for model in project.models}
    if name is None and len(known) == 1:
        return project.models[0]
    if name in known:
        return known[name]
    near = get_close_matches(name or "", known, 1)
    raise TrainingError.of(
        "the project has several models" if name is None else f"the project has no model {name!r}",
        expected="one of " + ", ".join(known),
        got="none named" if name is None else repr(name),
        where=project.name,
        do=f"did you mean {near[0]!r}?" if near else "name one of them",
    )


def find_policy(project: Project, model: Model) -> Policy | None:
    """The first policy that reads the model, or None."""
    return next((policy for policy in project.policies if policy.model == model), None)
