"""``headwater retrain``: train a model again as of a moment, and register it as challenger."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.models import print_evaluation, registry_of
from headwater.apps.cli.moments import SPAN
from headwater.apps.cli.office import as_of
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.versions import version_json, version_text
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import iso
from headwater.definitions.finding import find_model
from headwater.retraining.run import Recipe, Retraining, retrain
from headwater.retraining.search import Search
from headwater.retraining.triggers import Why, asked


@click.command("retrain")
@click.argument("model", required=False)
@click.option(
    "--as-of",
    "moment",
    metavar="TIME",
    help="As if nothing later had arrived.  [default: the newest arrival]",
)
@click.option("--why", metavar="TEXT", help="The reason, kept with the run.")
@click.option(
    "--search", "trials", metavar="N", type=click.IntRange(2), help="Try N sets of hyper-parameters first."
)
@click.option("--folds", type=click.IntRange(1), default=3, show_default=True, help="Of the search.")
@click.option("--window", type=SPAN, help="Learn from so long a time.  [default: as the model says]")
@click.option(
    "--test", type=SPAN, help="Judge on so long a time.  [default: until there are enough outcomes]"
)
@click.option(
    "--no-refit", is_flag=True, help="Register the judged model itself, without the newest outcomes."
)
@click.option(
    "--bootstrap", type=click.IntRange(0), default=200, show_default=True, help="Resamples for intervals."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="For what is left to chance."
)
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    moment: str | None,
    why: str | None,
    trials: int | None,
    folds: int,
    no_refit: bool,
    **options: Any,
) -> None:
    """Train a model again and register it as challenger.

    MODEL may be left out where the project has one. Only what had arrived by the moment is seen, and only
    labels that were known by then. The same moment, definition and options give the same run: a second call
    finds the first. The champion goes on deciding; see `headwater gate`.
    """
    chosen = find_model(work.project, model)
    how = Recipe(refit=not no_refit, search=None if trials is None else Search(trials, folds), **options)
    reason = asked() if why is None else Why("asked", why)
    now = work.clock.now()
    with work.reading() as log, screen.progress(one_bar=True) as progress:
        done = retrain(
            work.project,
            chosen.name,
            log,
            registry_of(work),
            folder=work.settings.data,
            as_of=as_of(moment, now, log),
            why=reason,
            now=now,
            recipe=how,
            progress=progress,
        )
    if screen.as_json:
        screen.write(_document(done))
    else:
        _print(screen, done)


def _document(done: Retraining) -> dict[str, Any]:
    return {
        "model": done.model,
        "as_of": iso(done.as_of),
        "key": done.key,
        "found": done.found,
        "why": done.why,
        "version": version_json(done.version),
        "evaluation": None if done.judged is None else done.judged.evaluation.to_json(),
        "search": None if done.searched is None else done.searched.to_json(),
        "facts": dict(done.facts),
    }


def _print(screen: Screen, done: Retraining) -> None:
    named = f"{done.model}, {version_text({'number': done.version.number, 'aliases': done.version.aliases})}"
    if done.judged is None:
        screen.say(f"{named}, was trained as of {iso(done.as_of)} already; nothing was done.", "bold")
        screen.say(f"Why it was: {done.why}")
        return
    facts = done.facts
    screen.say(f"{done.model}, as of {iso(done.as_of)}: {done.why}")
    screen.say(
        f"The recipe was judged on {facts['test_rows']:,} rows from {facts['test_from']} on, fitted without"
        f" them; the registered model learned until {facts['learned_until']}."
    )
    if done.searched is not None:
        found = done.searched
        screen.say(
            f"Search: {found.trials:,} sets tried, {found.pruned:,} stopped early; loss {found.loss:.5f}, "
            f"as declared {found.usual:.5f}."
        )
        screen.table(None, ("hyper-parameter", "found"), list(found.params.items()), numbers=("found",))
    screen.say()
    print_evaluation(screen, done.judged.evaluation.to_json())
    screen.say(f"Registered as {named}.", "bold")
    screen.say(f"Next: headwater gate {done.model}")
