"""``headwater late``: the late ledger, brought up to date from the log."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from headwater.apps.cli.exits import Exit
from headwater.apps.cli.moments import MOMENT
from headwater.apps.cli.records import PERSONAL, Hidden, archive_of, keys_text
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.stores import records_of
from headwater.core.errors import ModelError
from headwater.core.instant import DAY, HOUR, MINUTE, SECOND, iso
from headwater.log.protocol import EventLog
from headwater.monitoring.late import LateWatch
from headwater.store.folder import DataFolder
from headwater.store.late import LateEvent, LateLedger
from headwater.store.protocol import Decisions

_PAGE = 1_000


@click.command("late")
@click.option("--model", metavar="MODEL", help="Only as this model met them.")
@click.option("--key", metavar="KEY", help="Only events of this entity.")
@click.option("--from", "since", type=MOMENT, help="Only events that arrived from this time on.")
@click.option("--to", "until", type=MOMENT, help="Only events that arrived before this time.")
@click.option("--changed", is_flag=True, help="Only events that would have changed a decision.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="The newest so many.")
@click.option("--as-is", is_flag=True, help="What the ledger holds; do not bring it up to date.")
@click.option("--check", is_flag=True, help="Make the ledger anew beside it, and compare every row.")
@PERSONAL
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    limit: int,
    as_is: bool,
    check: bool,
    show_personal: bool,
    **filters: Any,
) -> None:
    """Show late events and what they would have changed.

    An event is late if it happened before the newest event that its entity had seen. The ledger says how
    late it was, which inputs of which model it moved, and which decisions made in between would have been
    different. It is first brought up to the end of the log, by replay; a server that runs does the same.
    --check ends with 7 if a ledger made anew holds anything else.
    """
    folder = DataFolder(work.settings.data)
    with work.reading() as log, LateLedger.open(folder.late) as ledger:
        with (
            records_of(work.settings.data, work.settings.database) as records,
            records.decisions() as decisions,
        ):
            if not as_is:
                _watch(work, log, decisions, ledger).settle()
            apart = _apart(work, log, decisions, ledger) if check else None
        found = ledger.page(newest=True, limit=limit, **filters)
        count, reached = len(ledger), ledger.reached().offset
    hidden = Hidden(work.project, show=show_personal)
    told = [_told(event, hidden) for _, event in found]
    if screen.as_json:
        checked = {} if apart is None else {"check": {"same": apart == 0, "rows_apart": apart}}
        screen.write({"events": count, "looked_through": reached, "late": told, **checked})
    else:
        _print(screen, told, count, reached)
        if apart is not None:
            same = "A ledger made anew holds the same rows." if not apart else f"{apart:,} rows differ."
            screen.say(same, "bold red" if apart else "bold green")
    if apart:
        click.get_current_context().exit(Exit.UNPROVEN)


def _watch(work: Workplace, log: EventLog, decisions: Decisions, ledger: LateLedger) -> LateWatch:
    archive = archive_of(work)
    champions = archive.champions()
    if not champions:
        raise ModelError.of(
            "no model of the project is trained, so nothing says what a late event moved",
            expected="a champion of today's definition",
            where=work.project.name,
            do="train a model first: headwater train",
        )
    return LateWatch(log, decisions, ledger, champions, work.project.views, archive.own)


def _apart(work: Workplace, log: EventLog, decisions: Decisions, ledger: LateLedger) -> int:
    """How many rows differ between the ledger and one that is made anew."""
    with TemporaryDirectory() as place, LateLedger.open(Path(place) / "late.db") as anew:
        _watch(work, log, decisions, anew).settle(stop=ledger.reached().offset)
        apart, after = abs(len(anew) - len(ledger)), 0
        while page := ledger.page(after=after, limit=_PAGE):
            again = dict(anew.page(after=after, limit=_PAGE))
            apart += sum(number in again and again[number] != event for number, event in page)
            after = page[-1][0]
    return apart


def _told(event: LateEvent, hidden: Hidden) -> dict[str, Any]:
    return {
        "offset": event.offset,
        "stream": event.stream,
        "time": iso(event.time),
        "arrival": iso(event.arrival),
        "late_microseconds": event.late,
        "model": event.model,
        "keys": hidden.keys(event.model, event.keys),
        "moved": list(event.moved),
        "decisions": [
            {
                "decision": one.id,
                "then": {"score": one.then[0], "band": one.then[1]},
                "now": None if one.now is None else {"score": one.now[0], "band": one.now[1]},
                "features": list(one.features),
            }
            for one in event.decisions
        ],
    }


def _print(screen: Screen, told: list[dict[str, Any]], count: int, reached: int) -> None:
    screen.say(f"{count:,} late events among the {reached:,} that the log holds.", "bold")
    rows = [
        (
            one["arrival"],
            one["stream"],
            keys_text(one["keys"]),
            by(one["late_microseconds"]),
            ", ".join(one["moved"]) or "nothing",
            "; ".join(_decision(each) for each in one["decisions"]) or "none",
        )
        for one in told
    ]
    if rows:
        columns = ("arrived", "stream", "entity", "late by", "moved", "decisions that would differ")
        screen.table(None, columns, rows)
    if count > len(rows):
        screen.say(f"The newest {len(rows):,}.")


def by(late: int) -> str:
    """A length of time for people, by its two largest units.

    Example:
        >>> by(93_784_000_001), by(1_500_000)
        ('1d 2h', '1.5s')
    """
    for (unit, name), (below, small) in pairwise(((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s"))):
        if late >= unit:
            rest = late % unit // below
            return f"{late // unit}{name}" + (f" {rest}{small}" if rest else "")
    return f"{late / SECOND:g}s"


def _decision(one: dict[str, Any]) -> str:
    then, now = one["then"], one["now"]
    if now is None:
        return f"{one['decision']} (its model is not at hand)"
    bands = then["band"] if then["band"] == now["band"] else f"{then['band']} -> {now['band']}"
    return f"{one['decision']} {then['score']:.4f} -> {now['score']:.4f} ({bands})"
