"""``headwater outcomes``: how good decisions were, measured and estimated, by week."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.moments import SPAN
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
from headwater.apps.watching.outcomes import keep, outcomes
from headwater.core.instant import WEEK, iso
from headwater.monitoring.outcomes import FIGURES

_USUAL = 26 * WEEK


@click.command("outcomes")
@click.argument("model", required=False)
@FROM
@TO
@LAST
@REPLAY
@VERSION
@click.option("--every", type=SPAN, default="7d", help="The length of a window.  [default: 7d]")
@click.option(
    "--bootstrap", type=click.IntRange(0), default=200, show_default=True, help="Resamples for intervals."
)
@NOT_KEPT
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    start: int | None,
    stop: int | None,
    last: int | None,
    which: str,
    every: int,
    replay: bool,
    bootstrap: int,
    no_keep: bool,
) -> None:
    """Show how good decisions were, measured and estimated, by week.

    A figure is measured on decisions whose label is mature, with an interval; before that it is estimated
    from the scores. Looks at the last 26 weeks, or at the stretch that is named, by the time that decisions
    are as of. The report is kept in the data folder.
    """
    now = work.clock.now()
    begin, end = stretch(start, stop, last, now=now, usual=_USUAL)
    place = place_of(work)
    with work.reading() as log:
        found = outcomes(
            place,
            log,
            begin,
            end,
            now=now,
            model=model,
            which=number_or_alias(which),
            source="log" if replay else "decisions",
            every=every,
            bootstrap=bootstrap,
        )
    kept = None if no_keep else keep(place, found, now=now)
    document = plain(found.to_json())
    if screen.as_json:
        times = {"from": iso(begin), "to": iso(end), "report": None if kept is None else kept.number}
        screen.write({**document, **times})
    else:
        _print(screen, document)


def _print(screen: Screen, document: dict[str, Any]) -> None:
    screen.say(f"{document['model']}, version {document['version']}", "bold")
    screen.say(document["words"])
    screen.say()
    columns = ["from", "decided", "mature", "positive"]
    for name in FIGURES:
        columns += [name.replace("_", " "), "estimated"]
    columns.append("not measured because")
    rows = [_row(one) for one in document["periods"] if one["decided"]]
    screen.table(None, columns, rows, numbers=columns[1:-1])
    for note in document["notes"]:
        screen.note(note)


def _row(period: dict[str, Any]) -> list[Any]:
    row = [period["from"], period["decided"], period["matured"], period["positives"]]
    for name in FIGURES:
        figure, expected = period["measured"].get(name), period["estimated"].get(name)
        row.append(_figure(figure) if figure else None)
        row.append(None if expected is None else f"{expected:.3f}")
    return [*row, period["why_not"] or ""]


def _figure(figure: list[float | None]) -> str | None:
    value, low, high = figure
    if value is None:
        return None
    return f"{value:.3f}" + ("" if low is None or high is None else f" ({low:.3f} to {high:.3f})")
