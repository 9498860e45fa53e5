"""``headwater log dead-letters``: the events that were refused, with their reasons; and removing them."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.stores import records_of
from headwater.core.instant import iso
from headwater.log.protocol import DeadLetter


@click.command("dead-letters")
@click.option("--stream", metavar="NAME", help="Only those sent to this stream.")
@click.option("--reason", metavar="CODE", help="Only those with this reason.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="At most so many."
)
@click.option("--after", metavar="ID", type=int, default=0, help="Only those behind this id.")
@click.option("--remove", is_flag=True, help="Remove all that match, instead of showing them.")
@click.option("--show-personal", is_flag=True, help="Show values that are declared personal.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    stream: str | None,
    reason: str | None,
    limit: int,
    after: int,
    remove: bool,
    show_personal: bool,
) -> None:
    """Show or remove the events that were refused.

    The oldest first, each with the file and row that it came from. Personal columns are masked. Once the
    events are mended and imported again, remove the letters.
    """
    settings = work.settings
    with work.bare_log(writer=remove) as log, records_of(settings.data, settings.database) as records:
        box = records.letters(lambda: log, move=remove)
        removed = box.remove_dead_letters(stream=stream, reason=reason) if remove else None
        letters = [] if remove else box.dead_letters(stream=stream, reason=reason, after=after, limit=limit)
        if not show_personal:
            mask = work.mask(log)
            letters = [mask.letter(letter) for letter in letters]
        counts = box.dead_letter_counts(stream)
        waiting = sum(log.dead_letter_counts(stream).values()) if records.shared else 0
    if waiting:
        screen.note(f"{waiting:,} more are still in the log; a server that starts moves them to the database")
    if screen.as_json:
        screen.write(
            {"removed": removed, "counts": counts, "letters": [_plain(letter) for letter in letters]}
        )
    elif removed is not None:
        screen.say(f"{removed:,} dead letters removed.")
    elif not counts:
        screen.say("No dead letters.")
    else:
        rows = [(one.id, one.stream, one.source, one.reason, one.message, one.event) for one in letters]
        screen.table(None, ("id", "stream", "from", "reason", "message", "event"), rows, numbers=("id",))
        screen.table("All of them", ("reason", "events"), list(counts.items()), numbers=("events",))


def _plain(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "stream": letter.stream,
        "arrival": iso(letter.arrival),
        "source": letter.source,
        "reason": letter.reason,
        "message": letter.message,
        "event": letter.event,
    }
