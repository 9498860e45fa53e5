"""What the commands of the loop share: the audit trail, who acts, the moment, and reports as tables.

Called by ``retrain``, ``gate``, ``promote`` and ``rollback``. Imports MLflow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headwater.apps.cli.keys.keyring import actor
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.moments import NEWEST, read_moment
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.versions import version_json
from headwater.apps.cli.workplace import Workplace
from headwater.apps.stores import records_of
from headwater.core.errors import DataError
from headwater.log.protocol import EventLog
from headwater.retraining.promotion import Changed, Office
from headwater.retraining.report import GateReport
from headwater.retraining.rules import Rules


@contextmanager
def office_of(work: Workplace) -> Iterator[Office]:
    """Registry and audit trail of the project, in the name of the user of the machine.

    Raises:
        StoreError: the file of the audit trail cannot be used.
        ModelError: the registry cannot be opened.
    """
    registry = registry_of(work)
    with records_of(work.settings.data, work.settings.database) as records, records.trail() as trail:
        yield Office(registry, trail, work.settings.data, actor(), work.clock.now())


def as_of(text: str | None, now: int, log: EventLog) -> int:
    """The moment of ``--as-of``: the newest arrival by default, so that without new events it is the same.

    Raises:
        DataError: it is no time.
    """
    if text is not None and text != NEWEST:
        return read_moment(text)
    return min(log.arrival(), now) if log.end() else now


def read_rules(path: Path | None) -> Rules:
    """The gate's rules from a JSON file; the defaults if none is named.

    Raises:
        DataError: the file holds no rules.
    """
    if path is None:
        return Rules()
    try:
        form = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError.of(
            "the rules are no JSON", got=str(error), where=str(path), do="correct the file"
        ) from None
    return Rules.from_json(form, str(path))


def print_report(screen: Screen, report: GateReport) -> None:
    """The verdict, the rows, and a table of the checks."""
    style = "bold green" if report.verdict == "promote" else "bold yellow"
    screen.say(report.summary(), style)
    screen.say(report.judged_on())
    screen.say()
    rows = [(one.verdict, one.family, one.name, one.words) for one in report.checks]
    screen.table(None, ("verdict", "family", "check", "what was found"), rows)
    for note in report.notes:
        screen.note(note)


def tell_change(screen: Screen, changed: Changed) -> None:
    """What changed, for people or as JSON."""
    if screen.as_json:
        document: dict[str, Any] = {
            "model": changed.model,
            "champion": version_json(changed.champion),
            "before": changed.before,
            "forced": changed.forced,
            "changed": changed.changed,
            "words": changed.words,
        }
        screen.write(document)
        return
    screen.say(changed.words, "bold")
    if changed.changed:
        screen.say("It stands in the audit trail: headwater audit trail --action model")
