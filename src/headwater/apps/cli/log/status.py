"""``headwater log status``: events, times and size of each stream, and the dead letters by reason."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import iso


@click.command("status")
@at_workplace
def command(work: Workplace, screen: Screen) -> None:
    """Show what the log holds."""
    with work.bare_log() as log:
        streams = [
            {
                "stream": held.stream,
                "events": held.events,
                "segments": held.segments,
                "bytes": held.bytes,
                "first_time": _time(held.first_time),
                "last_time": _time(held.last_time),
                "first_arrival": _time(held.first_arrival),
                "last_arrival": _time(held.last_arrival),
            }
            for held in log.status()
        ]
        document = {
            "log": str(work.settings.log),
            "events": log.end(),
            "streams": streams,
            "dead_letters": log.dead_letter_counts(),
        }
    if screen.as_json:
        screen.write(document)
    else:
        _print(screen, document)


def _print(screen: Screen, document: dict[str, Any]) -> None:
    columns = ("stream", "events", "segments", "bytes", "first_time", "last_time", "last_arrival")
    rows = [[stream[column] for column in columns] for stream in document["streams"]]
    screen.table(
        document["log"], [c.replace("_", " ") for c in columns], rows, ("events", "segments", "bytes")
    )
    letters = document["dead_letters"]
    if letters:
        screen.table("Dead letters", ("reason", "events"), list(letters.items()), numbers=("events",))
    else:
        screen.say("No dead letters.")


def _time(time: int | None) -> str | None:
    return None if time is None else iso(time)
