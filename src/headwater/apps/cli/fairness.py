"""``headwater fairness``: how decisions fall on the groups of an attribute."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.exits import Exit
from headwater.apps.cli.screen import Screen, plain
from headwater.apps.cli.watching import (
    FROM,
    LAST,
    NOT_KEPT,
    REPLAY,
    TO,
    VERSION,
    number_or_alias,
    place_of,
    stretch,
)
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.watching.fairness import fairness, keep
from headwater.core.instant import DAY, iso

_USUAL = 365 * DAY


@click.command("fairness")
@click.argument("model", required=False)
@click.option("--by", metavar="COLUMN", required=True, help="The attribute: a column of the model.")
@click.option(
    "--cut", type=float, multiple=True, metavar="NUMBER", help="Cut numbers into groups here. Repeatable."
)
@click.option(
    "--favourable",
    multiple=True,
    metavar="BAND",
    help="The favourable decision. Repeatable.  [default: the policy's lowest band]",
)
@click.option(
    "--deserving",
    type=click.IntRange(0, 1),
    default=0,
    show_default=True,
    help="The outcome of those who deserve it.",
)
@FROM
@TO
@LAST
@REPLAY
@VERSION
@click.option(
    "--bootstrap", type=click.IntRange(0), default=200, show_default=True, help="Resamples for intervals."
)
@NOT_KEPT
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    by: str,
    cut: tuple[float, ...],
    favourable: tuple[str, ...],
    start: int | None,
    stop: int | None,
    last: int | None,
    which: str,
    replay: bool,
    no_keep: bool,
    **options: Any,
) -> None:
    """Compare how decisions fall on the groups of an attribute.

    The attribute is computed from the log, as it was at each decision, so that a protected column can be
    named, which the model does not read. Looks at the last 365 days, or at the stretch that is named. The
    report is kept in the data folder. Ends with 9 if even the favourable end of an interval breaks a bound.
    """
    now = work.clock.now()
    begin, end = stretch(start, stop, last, now=now, usual=_USUAL)
    place = place_of(work)
    with work.reading() as log:
        found = fairness(
            place,
            log,
            begin,
            end,
            by=by,
            now=now,
            model=model,
            which=number_or_alias(which),
            source="log" if replay else "decisions",
            cut=sorted(cut),
            favourable=favourable,
            **options,
        )
    kept = None if no_keep else keep(place, found, now=now)
    document = plain(found.to_json())
    if screen.as_json:
        times = {"from": iso(begin), "to": iso(end), "report": None if kept is None else kept.number}
        screen.write({**document, **times})
    else:
        _print(screen, document)
    if found.fairness.level == "alarm":
        click.get_current_context().exit(Exit.ALARM)


def _print(screen: Screen, document: dict[str, Any]) -> None:
    screen.say(f"{document['model']} by {document['attribute']}: {document['level']}", "bold")
    screen.say(f"The favourable decision: {', '.join(document['favourable'])}.")
    for words in document["words"]:
        screen.say(f"  {words}")
    screen.say()
    rows = [
        (
            one["name"],
            one["rows"],
            one["entities"],
            _figure(one["selection"]),
            _figure(one["impact"]),
            _figure(one["opportunity"]),
            one["foretold"],
            _figure(one["observed"]),
            one["too_few"] or "",
        )
        for one in document["groups"]
    ]
    columns = (
        "group",
        "decisions",
        "entities",
        "selected",
        "impact ratio",
        "of the deserving",
        "foretold",
        "came true",
        "not compared because",
    )
    screen.table(None, columns, rows, numbers=columns[1:-1])
    for note in document["notes"]:
        screen.note(note)


def _figure(figure: list[float | None]) -> str | None:
    value, low, high = figure
    if value is None:
        return None
    return f"{value:.3f}" + ("" if low is None or high is None else f" ({low:.3f} to {high:.3f})")
