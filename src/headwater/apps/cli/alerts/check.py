"""``headwater alerts check``: from what was found to alerts that people hear of."""

from __future__ import annotations

import time

import click

from headwater.apps.alerting.check import check
from headwater.apps.alerting.settings import channels
from headwater.apps.cli.alerts.telling import plain, show
from headwater.apps.cli.exits import Exit
from headwater.apps.cli.moments import SPAN
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.settings import environment
from headwater.apps.stores import records_of
from headwater.store.alerts import AlertStore
from headwater.store.folder import DataFolder


@click.command("check")
@click.option("--still", type=SPAN, default="7d", help="Tell an open alert again so rarely.  [default: 7d]")
@at_workplace
def command(work: Workplace, screen: Screen, still: int) -> None:
    """Judge what was found, open and resolve alerts, and tell people.

    Looks at the newest reports that `headwater drift`, `outcomes` and `fairness` kept, and at dead letters;
    so run it after them. What could not be told before is tried again. Ends with 9 if an alert is open that
    nobody acknowledged.
    """
    now, folder = work.clock.now(), DataFolder(work.settings.data)
    telling = channels(environment(), time.sleep)
    with work.reading() as log, records_of(work.settings.data, work.settings.database) as records:
        box = records.letters(lambda: log, move=False)
        done = check(folder, telling, work.project.name, now=now, log=log, box=box, still=still)
    with AlertStore.open(folder.alerts) as store:
        unresolved = store.page(("open", "acknowledged"), limit=1_000)
    if screen.as_json:
        events = [{"rule": rule, "subject": subject, "event": event} for rule, subject, event in done.events]
        document = {"events": events, "told": done.delivered.told, "failed": done.delivered.failed}
        screen.write({**document, "alerts": [plain(alert) for alert in unresolved]})
    else:
        for rule, subject, event in done.events:
            screen.say(f"{event}: {rule} of {subject}")
        show(screen, unresolved)
        for channel, fault in done.delivered.failed.items():
            screen.note(f"the channel {channel} failed: {fault}")
        if not unresolved:
            screen.say("No alert is open.", "bold green")
    if any(alert.state == "open" for alert in unresolved):
        click.get_current_context().exit(Exit.ALARM)
