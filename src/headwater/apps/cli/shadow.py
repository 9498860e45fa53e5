"""``headwater shadow``: what challengers would have said of live decisions."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import iso
from headwater.definitions.finding import find_model
from headwater.store.folder import DataFolder
from headwater.store.shadow import ShadowLedger, Summary

_SHORT = 12


@click.command("shadow")
@click.argument("model", required=False)
@at_workplace
def command(work: Workplace, screen: Screen, model: str | None) -> None:
    """Show what challengers would have said of live decisions.

    While a project is served, the challenger of each model scores the decisions that another version
    answered, in a process beside the server, and answers nobody. Shown for each pair of versions: how far
    the scores are apart, which bands and first reasons would have been others.
    """
    name = None if model is None else find_model(work.project, model).name
    folder = DataFolder(work.settings.data).make()
    with ShadowLedger.open(folder.shadow) as ledger:
        found = ledger.summaries(model=name)
    if screen.as_json:
        screen.write({"shadow": [_told(one) for one in found]})
        return
    if not found:
        screen.say("No challenger has scored a live decision yet.")
        screen.say("It does while `headwater serve` runs and a model has a challenger: headwater retrain")
    for one in found:
        _print(screen, one)


def _told(one: Summary) -> dict[str, Any]:
    return {**one.to_json(), "first": iso(one.first), "last": iso(one.last), "words": one.words()}


def _print(screen: Screen, one: Summary) -> None:
    title = f"{one.model}: {one.challenger[:_SHORT]} in the shadow of {one.served[:_SHORT]}"
    screen.say(title, "bold")
    screen.say(f"{one.words()} Decided from {iso(one.first)} to {iso(one.last)}.")
    rows = [(served, other, f"{count:,}") for (served, other), count in sorted(one.flips.items())]
    if rows:
        screen.table(None, ("band served", "challenger's band", "decisions"), rows, numbers=("decisions",))
