"""From what rules found to alerts that people hear of.

:func:`settle` opens and resolves, :func:`check` judges all that a data folder tells by itself, and tells it.
Called by ``headwater alerts check``, by jobs after they have kept a report, and by a running service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headwater.apps.alerting import rules
from headwater.apps.alerting.channels import Channel
from headwater.apps.alerting.delivery import Delivered, deliver
from headwater.apps.alerting.rules import Judged
from headwater.apps.watching import drift, fairness, outcomes
from headwater.core.instant import DAY
from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import DeadLetters
from headwater.store.alerts import STILL, AlertStore, Event
from headwater.store.folder import DataFolder
from headwater.store.parity import ParityLedger
from headwater.store.reports import ReportStore

_WINDOWS = 60  # of a model, to tell since when
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check did.

    Attributes:
        events: rule, subject and what happened to their alert; nothing where all is as it was.
        delivered: who was told.
    """

    events: tuple[tuple[str, str, Event], ...]
    delivered: Delivered


def check(
    folder: DataFolder,
    channels: Sequence[Channel],
    project: str,
    *,
    now: int,
    log: EmbeddedLog | None = None,
    box: DeadLetters | None = None,
    also: Iterable[Judged] = (),
    still: int = STILL,
) -> Checked:
    """Judge what the data folder tells, open and resolve alerts, and tell people.

    Args:
        folder: with reports and alerts.
        channels: who tells.
        project: its name, in messages.
        now: microseconds UTC.
        log: the events, for dead letters; None leaves them out.
        box: the dead letters, where they are not in the log.
        also: what was judged elsewhere.
        still: how rarely an open alert is told again, microseconds.

    Raises:
        StoreError: reports or alerts cannot be read or written. No channel raises anything.
    """
    letters = [] if log is None else [of_letters(log, now, box)]
    judged = [*of_reports(folder), *of_parity(folder, now), *letters, *also]
    with AlertStore.open(folder.make().alerts) as store:
        events = tuple(settle(store, judged, now=now, still=still))
        return Checked(events, deliver(store, channels, project, now=now))


def of_parity(folder: DataFolder, now: int) -> Iterator[Judged]:
    """What the ledger of parity tells, if the folder's service keeps one."""
    if folder.parity.is_file():
        with ParityLedger.open(folder.parity) as ledger:
            newest = [one for _, one in ledger.page(newest=True)]
            yield rules.parity(ledger.stands(), newest, now)


def settle(
    store: AlertStore, judged: Iterable[Judged], *, now: int, still: int = STILL
) -> Iterator[tuple[str, str, Event]]:
    """Open what is wrong, resolve what is not any more: rule, subject, and what happened to the alert."""
    for one in judged:
        for signal in one.signals:
            event = store.signal(signal, now=now, still=still)
            if event is not None:
                yield signal.rule, signal.subject, event
        for subject in one.clear:
            event = store.resolve(one.rule, subject, now=now)
            if event is not None:
                yield one.rule, subject, event


def of_reports(folder: DataFolder) -> list[Judged]:
    """What the newest kept reports say."""
    if not folder.reports.is_file():
        return []
    found: list[Judged] = []
    with ReportStore.open(folder.reports) as reports:
        found += [
            rules.drift(reports.windows(drift.KIND, subject, limit=_WINDOWS))
            for subject in reports.subjects(drift.KIND)
        ]
        for kind, rule in ((outcomes.KIND, rules.decay), (fairness.KIND, rules.unfair)):
            for subject in reports.subjects(kind):
                newest = reports.newest(kind, subject)
                if newest is not None:
                    found.append(rule(newest))
    return found


def of_letters(log: EmbeddedLog, now: int, box: DeadLetters | None = None) -> Judged:
    """Dead letters of the last day of the log, by stream; those of an import come with its newest event."""
    last = min(now, log.arrival())
    counts = dict.fromkeys(log.streams, 0)
    after = 0
    box = log if box is None else box
    while page := box.dead_letters(after=after, limit=_PAGE):
        after = page[-1].id
        for letter in page:
            if letter.arrival > last - DAY:
                counts[letter.stream] = counts.get(letter.stream, 0) + 1
    return rules.letters(counts, last)
