"""``headwater lake follow``: keep the lake up to date beside a server, until it is told to end."""

from __future__ import annotations

import time
from threading import Event
from typing import Any

import click

from headwater.apps.cli.ending import asked_to_end
from headwater.apps.cli.lake.shore import opened, show, with_lake
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace


class _EndError(Exception):
    """It is to end: raised between two commits."""


@click.command("follow")
@with_lake
@click.option(
    "--every",
    type=click.FloatRange(0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Look so often for what is new.",
)
@at_workplace
def command(work: Workplace, screen: Screen, every: float, **options: Any) -> None:
    """Keep the lake up to date until Ctrl-C.

    As `headwater lake export`, again and again; beside a server, which it does not disturb. Ctrl-C or a TERM
    lets the commit that runs come to its end. With --json the document at the end has the sums.
    """
    with asked_to_end() as end, opened(work, options) as lake:
        before = {one["table"]: one["rows"] for one in lake.status()}
        screen.note(f"{lake.settings.place} is kept up to date; Ctrl-C ends it")
        while not end.is_set():
            started = time.monotonic()
            try:
                done = lake.export(_ending(end))
            except _EndError:
                break
            told = ", ".join(f"{one.table} {one.rows:,}" for one in done if one.rows)
            if told:
                screen.note(f"rows: {told}")
            end.wait(max(0.0, every - (time.monotonic() - started)))
        show(screen, lake, [_since(one, before[one["table"]]) for one in lake.status()])


def _since(status: dict[str, Any], before: int) -> dict[str, Any]:
    """What became of a table in the meantime."""
    return {"table": status["table"], "rows": status["rows"] - before, "reaches": status["place"]}


def _ending(end: Event) -> Any:
    def progress(_table: str, _place: int, _end: int) -> None:
        if end.is_set():
            raise _EndError

    return progress
