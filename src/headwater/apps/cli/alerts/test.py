"""``headwater alerts test``: whether people would hear of an alert."""

from __future__ import annotations

import time

import click

from headwater.apps.alerting.channels import Channel, ChannelError
from headwater.apps.alerting.message import trial_message
from headwater.apps.alerting.settings import channels
from headwater.apps.cli.exits import Exit
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.settings import environment


@click.command("test")
@at_workplace
def command(work: Workplace, screen: Screen) -> None:
    """Send a test message over every channel that is set.

    Ends with 9 if a channel failed.
    """
    now, project = work.clock.now(), work.project.name
    found = [(one.name, _fault(one, project, now)) for one in channels(environment(), time.sleep)]
    if screen.as_json:
        screen.write({"channels": [{"channel": name, "fault": fault} for name, fault in found]})
    else:
        screen.table(None, ("channel", "result"), [(name, fault or "told") for name, fault in found])
    if any(fault for _, fault in found):
        click.get_current_context().exit(Exit.ALARM)


def _fault(channel: Channel, project: str, now: int) -> str | None:
    try:
        channel.send(trial_message(project, now), now=now)
    except ChannelError as error:
        return error.fault
    return None
