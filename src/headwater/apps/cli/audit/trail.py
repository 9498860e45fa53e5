"""``headwater audit trail``: what was administered."""

from __future__ import annotations

import json

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import iso
from headwater.store.audit import AuditTrail, Entry
from headwater.store.folder import DataFolder

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
    file = DataFolder(work.settings.data).access
    if not file.is_file():
        return []
    found: list[Entry] = []
    with AuditTrail.open(file) as trail:
        after = 0
        while page := trail.page(after=after, limit=_PAGE):
            after = page[-1].number
            found += [
                entry
                for entry in page
                if actor in (None, entry.act.actor)
                and (
                    action is None
                    or entry.act.action == action
                    or entry.act.action.partition(".")[0] == action
                )
            ]
    return found


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
