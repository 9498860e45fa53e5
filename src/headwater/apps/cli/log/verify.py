"""``headwater log verify``: is the log what was written? Exit code 7 if it is not."""

from __future__ import annotations

from dataclasses import asdict

import click

from headwater.apps.cli.exits import Exit
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace


@click.command("verify")
@at_workplace
def command(work: Workplace, screen: Screen) -> None:
    """Check every byte, offset and link of the log.

    Reads all of it, while others may go on writing. Ends with 7 if anything is not as it was written. The
    heads are the last links of the hash chains: kept elsewhere, they prove that nothing was rewritten
    since.
    """
    with work.bare_log() as log:
        found = log.verify()
    if screen.as_json:
        problems = [asdict(problem) for problem in found.problems]
        screen.write(
            {
                "sound": found.sound,
                "events": found.events,
                "segments": found.segments,
                "problems": problems,
                "heads": found.heads,
            }
        )
    else:
        screen.say(f"{found.events:,} events in {found.segments:,} segments were read.")
        for problem in found.problems:
            screen.say(str(problem), "red")
        screen.table(None, ("stream", "head of its chain"), list(found.heads.items()))
        verdict = (
            "The log is sound." if found.sound else f"The log is damaged: {len(found.problems)} problems."
        )
        screen.say(verdict, "bold green" if found.sound else "bold red")
    if not found.sound:
        click.get_current_context().exit(Exit.UNPROVEN)
