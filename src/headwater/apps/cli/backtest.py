"""``headwater backtest``: which past decisions would come out otherwise under another model or policy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from headwater.apps.cli.moments import MOMENT
from headwater.apps.cli.records import (
    DEFINITIONS,
    PERSONAL,
    WITH,
    Hidden,
    archive_of,
    decisions_of,
    exchange_of,
    keys_text,
    of_folder,
)
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import iso
from headwater.serving.backtest import Backtest, backtest

_SHOWN = 10


@click.command("backtest")
@click.argument("model", required=False)
@WITH
@DEFINITIONS
@click.option("--key", metavar="KEY", help="Only decisions about this entity.")
@click.option("--band", metavar="BAND", help="Only decisions with this outcome.")
@click.option("--from", "since", type=MOMENT, help="Only decisions taken from this time on.")
@click.option("--to", "until", type=MOMENT, help="Only decisions taken before this time.")
@click.option(
    "--examples", type=click.IntRange(0), default=_SHOWN, show_default=True, help="Show the so many first."
)
@PERSONAL
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    exchange: tuple[str, ...],
    definitions: str | None,
    examples: int,
    show_personal: bool,
    **filters: Any,
) -> None:
    """See which past decisions would come out otherwise.

    Each is made again from the log, as of its own time and place, with the definitions, model and policy
    named by --with; without one, with today's champion and policy. What would change is counted by band, by
    cause and by the strongest reason that would be told.
    """
    other = exchange_of(exchange, definitions)
    exchange = (*exchange, *([f"definitions={definitions}"] if definitions else []))
    work = of_folder(work, screen)
    archive = archive_of(work)
    decider = archive.exchanged(model, other)
    name = decider.scoring.model.name
    hidden = Hidden(work.project, show=show_personal)
    with decisions_of(work) as store, work.reading() as log, screen.progress(one_bar=True) as advance:
        found = backtest(
            store,
            log,
            decider,
            own=archive.own,
            progress=lambda done, total: advance("decisions", done, total),
            examples=examples,
            hidden=hidden.inputs(name),
            **filters,
        )
    if screen.as_json:
        screen.write(_document(found, name, exchange, hidden))
    else:
        _print(screen, found, name, hidden)


def _document(found: Backtest, model: str, exchange: tuple[str, ...], hidden: Hidden) -> dict[str, Any]:
    plain = {k: v for k, v in asdict(found).items() if k not in ("transitions", "numbers", "examples")}
    moves = [{"then": then, "now": now, "decisions": n} for (then, now), n in found.transitions.items()]
    return {
        "model": model,
        "with": list(exchange),
        **plain,
        "transitions": moves,
        "decisions": [f"d{number}" for number in found.numbers],
        "examples": [
            asdict(one) | {"keys": hidden.keys(model, one.keys), "time": iso(one.time)}
            for one in found.examples
        ],
    }


def _print(screen: Screen, found: Backtest, model: str, hidden: Hidden) -> None:
    screen.say(f"{found.compared:,} decisions of {model} were made again.", "bold")
    screen.say(
        f"{found.changed:,} would have another band; {found.moved:,} another score, feature or reason;"
        f" {found.same:,} are the same to the bit."
    )
    if found.transitions:
        rows = [(*pair, count) for pair, count in found.transitions.items()]
        screen.table("From band to band", ("then", "now", "decisions"), rows, ("decisions",))
    if found.changed:
        screen.table("What makes the band another one", ("cause", "decisions"), list(found.causes.items()))
        reasons = list(found.reasons.items())
        screen.table("The strongest reason that would be told", ("reason", "decisions"), reasons)
    for one in found.examples:
        entity = keys_text(hidden.keys(model, one.keys))
        screen.say(f"{one.id}, {entity}, as of {iso(one.time)}: {one.then[1]} -> {one.now[1]}", "bold")
        for sentence in one.words:
            screen.say(f"  {sentence}")
    if found.data:
        screen.say(
            f"{found.data:,} decisions differ in a way that nothing exchanged explains:"
            " run `headwater log verify`.",
            "bold red",
        )
