"""``headwater audit trail``: what was administered."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.stores import records_of
from headwater.core.instant import iso
from headwater.store.audit import AuditTrail, Entry
from headwater.store.folder import DataFolder
from headwater.store.protocol import Trail

_PAGE = 1_000
_SEALS = ("id", "secret", "old_secret")


@click.command("trail")
@click.option("--actor", metavar="WHO", help="Only acts of this actor.")
@click.option("--action", metavar="WHAT", help="Only acts of this kind, such as key.create or key.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many."
)
@at_workplace
def command(work: Workplace, screen: Screen, actor: str | None, action: str | None, limit: int) -> None:
    """List what was administered, by whom and when.

    The newest first. `headwater audit verify` proves that the list is what was written.
    """
    entries = _found(work, actor, action)[-limit:][::-1]
    if screen.as_json:
        screen.write({"entries": [_plain(entry) for entry in entries]})
    elif not entries:
        screen.say("Nothing was administered.")
    else:
        rows = [
            (
                entry.number,
                iso(entry.act.at),
                entry.act.actor,
                entry.act.action,
                entry.act.target,
                _facts(entry),
            )
            for entry in entries
        ]
        screen.table(
            None, ("number", "time", "actor", "action", "target", "details"), rows, numbers=("number",)
        )


def _found(work: Workplace, actor: str | None, action: str | None) -> list[Entry]:
    """What was administered here and, where servers share a database, in that; the oldest act first."""
    file = DataFolder(work.settings.data).access
    found: list[Entry] = []
    if file.is_file():
        with AuditTrail.open(file) as trail:
            found += _matching(trail, actor, action)
    if work.settings.database is not None:
        with records_of(work.settings.data, work.settings.database) as records, records.trail() as shared:
            found += _matching(shared, actor, action)
        found.sort(key=lambda entry: entry.act.at)
    return found


def _matching(trail: Trail, actor: str | None, action: str | None) -> Iterator[Entry]:
    after = 0
    while page := trail.page(after=after, limit=_PAGE):
        after = page[-1].number
        for entry in page:
            kinds = entry.act.action, entry.act.action.partition(".")[0]
            if actor in (None, entry.act.actor) and (action is None or action in kinds):
                yield entry


def _facts(entry: Entry) -> str:
    """The details that a person reads; all of them stand in the JSON form."""
    facts = {
        name: fact for name, fact in entry.act.details.items() if name not in _SEALS and fact is not None
    }
    return json.dumps(facts, ensure_ascii=False)


def _plain(entry: Entry) -> dict[str, object]:
    act = entry.act
    return {
        "number": entry.number,
        "at": iso(act.at),
        "actor": act.actor,
        "action": act.action,
        "target": act.target,
        "details": dict(act.details),
        "link": entry.chain.hex(),
    }
