"""``headwater replay``: a past decision made again from the log, by a running service."""

from __future__ import annotations

import click
import msgspec

from headwater.apps.cli.remote import WHERE, service
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import JSON
from headwater.client.answers import Replay
from headwater.core.errors import Problem, ReplayError


@click.command("replay")
@click.argument("decision_id")
@WHERE
@JSON
def command(decision_id: str, url: str, as_json: bool) -> None:
    """Make a past decision again, from the log.

    The same bits, or a list of what differs and why; then the exit code is 7.
    """
    screen = Screen(as_json=as_json)
    with service(url) as client:
        found = client.replay(decision_id)
    if as_json:
        screen.write(msgspec.to_builtins(found))
    elif found.same:
        screen.say(f"Decision {found.decision_id}: the same bits, from {found.events:,} events.", "bold")
        screen.say(f"  score {found.score.hex()} ({found.score:.4f}), band {found.band!r}")
    if not found.same:
        raise ReplayError(*_problems(found))


def _problems(found: Replay) -> list[Problem]:
    return [
        Problem(
            f"{one.what} did not come out as it was decided",
            expected=one.then,
            got=one.now,
            where=f"decision {found.decision_id}",
            do=f"the cause is the {one.cause}",
        )
        for one in found.differences
    ]
