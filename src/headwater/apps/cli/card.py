"""``headwater card``: the model card of a version, as a page or as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from headwater.apps.cli.models import WHICH, registry_of
from headwater.apps.cli.report import summary, write_file
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.watching import number_or_alias
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.definitions.finding import find_model, find_policy
from headwater.paper.html import page
from headwater.paper.markdown import markdown
from headwater.training.card_kept import card_of

Form = Literal["html", "md"]


@click.command("card")
@click.argument("model", required=False)
@WHICH
@click.option("--out", type=click.Path(path_type=Path), help="The file.  [default: MODEL-vN.html or .md]")
@click.option(
    "--as",
    "form",
    type=click.Choice(["html", "md"]),
    default="html",
    show_default=True,
    help="A page, or Markdown.",
)
@at_workplace
def command(
    work: Workplace, screen: Screen, model: str | None, which: str, out: Path | None, form: Form
) -> None:
    """Write the model card of a version.

    What it is for, what it learned from, what it is worth with intervals, calibration, slices, fairness, its
    inputs, the gate's verdict, its limits and its lineage; from what the registry holds. Training, retraining
    and gate keep the same card with the run in MLflow.
    """
    chosen = find_model(work.project, model)
    registry = registry_of(work)
    version = registry.version(chosen.name, number_or_alias(which))
    document = card_of(registry, chosen, find_policy(work.project, chosen), version.number)
    path = out or Path(f"{chosen.name}-v{version.number}.{form}")
    write_file(path, page(document) if form == "html" else markdown(document))
    if screen.as_json:
        screen.write({**summary(document, path), "model": chosen.name, "version": version.number})
    else:
        screen.say(f"The card of {chosen.name}, version {version.number}, is in {path}.")
