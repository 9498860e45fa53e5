"""``headwater log compact``: many small segments become few; offsets, bits and chains stay."""

from __future__ import annotations

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace


@click.command("compact")
@at_workplace
def command(work: Workplace, screen: Screen) -> None:
    """Merge small pieces of the log.

    A log that was fed event by event reads faster afterwards. Nothing that can be read changes; it may be
    interrupted at any time.
    """
    with work.bare_log(writer=True) as log:
        report = log.compact()
    if screen.as_json:
        screen.write({"segments_before": report.before, "segments_after": report.after})
    else:
        screen.say(f"{report.before:,} segments became {report.after:,}.")
