"""The job that makes the report each morning, and mails it; there if somebody is set who gets it.

What it looks at follows from the moment that the job is due, and the letter's name, too: a job that is run
twice sends the same letter, which mail programs show once. Called by ``desk``, through ``kinds``.
"""

from __future__ import annotations

from typing import Any

from headwater.apps.jobs.kinds import Task
from headwater.apps.reporting.post import mailing, send_report
from headwater.apps.reporting.report import USUAL, make_report
from headwater.core.errors import DataError, DeliveryError, HeadwaterError
from headwater.core.instant import HOUR, iso
from headwater.store.alerts import AlertStore, Signal

_RULE, _SUBJECT = "channel", "report"


def reports_job(task: Task) -> dict[str, Any]:
    """The report on the four weeks before the job's moment. A mail server that is away is an alert, too.

    Raises:
        DataError: a setting cannot be read, or the server will never take the letter.
        DeliveryError: the mail server cannot be reached; the job is tried again.
        MissingExtraError: a PDF is to be sent, and fpdf2 is not installed.
        LogError: there is no event log yet.
    """
    how = mailing(task.environ)
    stop = task.job.due // HOUR * HOUR
    start = stop - USUAL
    document = make_report(task.settings, start, stop, now=task.job.due)
    task.step()
    with AlertStore.open(task.folder.make().alerts) as alerts:
        try:
            sent = send_report(how, document, task.project.name, stop=stop, now=task.now)
        except (DeliveryError, DataError) as error:
            alerts.signal(_alert(error, task.now), now=task.now)
            raise
        alerts.resolve(_RULE, _SUBJECT, now=task.now)
    return {"from": iso(start), "to": iso(stop), "title": sent.title, "file": sent.file, "bytes": sent.size}


def _alert(error: HeadwaterError, now: int) -> Signal:
    return Signal(
        rule=_RULE,
        subject=_SUBJECT,
        severity="warning",
        since=now,
        what="The report could not be mailed",
        how_bad=f"{error.problems[0].got}",
        do="look at its settings and the mail server, then: headwater report --mail",
    )
