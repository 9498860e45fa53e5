"""Models as the command line meets them: found by name, opened from the registry, shown as tables.

Imports MLflow, so it is imported by the commands that need a model and by nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace
from headwater.definitions.compile import content_hash
from headwater.definitions.finding import find_model, find_policy
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.models.registry import CHAMPION, Registry, Version
from headwater.serving.scoring import Scoring
from headwater.training.train import open_registry

WHICH = click.option(
    "--version",
    "which",
    metavar="WHICH",
    default=CHAMPION,
    show_default=True,
    help="A version's number or alias.",
)


@dataclass(frozen=True)
class Opened:
    """A registered model, ready to score."""

    model: Model
    policy: Policy | None
    version: Version
    scoring: Scoring


def registry_of(work: Workplace) -> Registry:
    """The project's registry: in the data folder, or where MLFLOW_TRACKING_URI says.

    Raises:
        ModelError: it cannot be opened.
    """
    return open_registry(work.settings.data, work.project, work.settings.tracking_uri)


def open_model(work: Workplace, name: str | None, which: str) -> Opened:
    """A version of a model of the project.

    Raises:
        TrainingError: the project has no such model.
        ModelError: it has no such version, or the version was trained from another definition.
    """
    model = find_model(work.project, name)
    registry = registry_of(work)
    wanted = int(which) if which.isdecimal() else which
    version = registry.version(model.name, wanted)
    artifact = registry.load(model.name, version.number, definition_hash=content_hash(model))
    return Opened(model, find_policy(work.project, model), version, Scoring(model, artifact, version.digest))


def print_evaluation(screen: Screen, evaluation: Mapping[str, Any]) -> None:
    """The figures of an evaluation with their intervals, and what each band holds.

    Args:
        screen: where to.
        evaluation: as from ``Evaluation.to_json``.
    """
    rows = [
        (name.replace("_", " "), *map(_four, figure))
        for name, figure in evaluation["figures"].items()
        if not name.startswith("band_")
    ]
    title = f"On {evaluation['rows']:,} rows, {evaluation['positives']:,} of them positive"
    screen.table(
        title, ("figure", "value", "from", "to (95 %)"), rows, numbers=("value", "from", "to (95 %)")
    )
    if evaluation["bands"]:
        bands = [
            (
                band["name"],
                band["lowest"],
                band["rows"],
                band["positives"],
                _four(band["share"][0]),
                _four(band["rate"][0]),
            )
            for band in evaluation["bands"]
        ]
        columns = ("band", "from score", "rows", "positives", "share", "rate")
        screen.table("Bands of the policy", columns, bands, numbers=columns[1:])


def _four(figure: float | None) -> str | None:
    return None if figure is None else f"{figure:.4f}"
