"""The job that judges what was found, opens and resolves alerts, and tells people of them.

Called by ``desk``, through ``kinds``: after each job that watches, and by the hour for dead letters, for
parity and for channels that were down.
"""

from __future__ import annotations

import time
from typing import Any

from headwater.apps.alerting.check import check
from headwater.apps.alerting.settings import channels
from headwater.apps.jobs.kinds import Task
from headwater.apps.stores import records_of
from headwater.log.embedded import EmbeddedLog


def alerts_job(task: Task) -> dict[str, Any]:
    """Open, resolve and tell.

    Raises:
        DataError: a channel is set in a way that cannot be read.
        StoreError: reports or alerts cannot be read or written.
    """
    telling = channels(task.environ, time.sleep)
    settings = task.settings
    with (
        EmbeddedLog.open(settings.log, task.project.streams, writer=False) as log,
        records_of(settings.data, settings.database) as records,
    ):
        box = records.letters(lambda: log, move=False)
        done = check(task.folder, telling, task.project.name, now=task.now, log=log, box=box)
    events = [{"rule": rule, "subject": subject, "event": event} for rule, subject, event in done.events]
    return {"events": events, "told": done.delivered.told, "failed": dict(done.delivered.failed)}
