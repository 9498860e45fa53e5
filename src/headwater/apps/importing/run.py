"""The whole way of an import: read and check every file, then append all events in order of time.

Nothing is appended before every file was read to its end, so that a damaged file leaves the log as it was.
Then slices of about 260,000 events go in, each in one transaction. An import that was interrupted between
two of them is run again: events with ids that are there already are duplicates and change nothing. Streams
without ids cannot tell; imports that hold one go in as one slice, and a ledger refuses the same file twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from headwater.apps.importing.files import Part, parts
from headwater.apps.importing.ledger import Ledger
from headwater.apps.importing.settled import Settled
from headwater.apps.importing.source import Source, checked_part
from headwater.apps.importing.spool import BUDGET, SLICE, Share, Spool
from headwater.core.schema import Checked
from headwater.log.embedded import EmbeddedLog
from headwater.log.ingest import Incoming, Ingested, import_history
from headwater.log.protocol import DeadLetter

Progress = Callable[[str, int, int], None]


@dataclass
class Report:
    """What became of the rows of one file.

    Attributes:
        stream, file: which.
        received: rows in the file.
        accepted: events that are new in the log.
        duplicates: events that the log held already.
        behind: new events older than what the log held: they arrive where the log ended.
        refused: reason to the number of dead letters.
    """

    stream: str
    file: str
    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    behind: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def import_files(
    log: EmbeddedLog,
    sources: Sequence[Source],
    *,
    lateness: int | None = None,
    ledger: Path,
    again: bool = False,
    progress: Progress | None = None,
    budget: int = BUDGET,
    size: int = SLICE,
) -> list[Report]:
    """Import event files, all streams merged by arrival.

    Args:
        log: open for writing.
        sources: the files; several may belong to one stream.
        lateness: with an arrival column: events older than this on arrival go to the dead letters.
        ledger: where it is noted which files went into streams without ids.
        again: import a file into a stream without ids though it was imported before.
        progress: told how far reading (bytes) and appending (rows) have come.
        budget: bytes of events that are kept in memory.
        size: about how many events are appended in one transaction.

    Returns:
        One report per file.

    Raises:
        DataError: a file is missing, damaged or has other columns; nothing was appended.
        LogError: the log cannot be written. What was appended before is whole; run it again.
    """
    tell = progress or (lambda _stage, _done, _total: None)
    reports = [Report(source.stream.name, str(source.path)) for source in sources]
    anonymous = Ledger(
        ledger, log.end(), [(one.stream.name, one.path) for one in sources if one.stream.id is None]
    )
    anonymous.refuse_repeats(again)
    with TemporaryDirectory(prefix="import-", dir=ledger.parent) as space:
        spool = Spool(Path(space), budget)
        letters = _read(sources, spool, reports, lateness, log.arrival(), tell)
        settled = Settled(log)
        anonymous.note()
        _append(settled, sources, spool, reports, tell, whole=bool(anonymous.files), size=size)
        settled.append_many([], letters=lambda _: list(letters))
    return reports


# --- Reading -------------------------------------------------------------------------------------


def _read(
    sources: Sequence[Source],
    spool: Spool,
    reports: Sequence[Report],
    lateness: int | None,
    ended: int,
    tell: Progress,
) -> list[DeadLetter]:
    """Every part of every file through the door into the spool; the letters of what was refused."""
    total = sum(one.path.stat().st_size for one in sources if one.path.is_file())
    before = 0
    letters: list[DeadLetter] = []
    for number, (source, report) in enumerate(zip(sources, reports, strict=True)):
        done = 0
        for part in parts(source.path, source.form):
            checked, arrival = checked_part(source, part, lateness)
            report.received += len(part.frame)
            report.refused.update(checked.rejected["reason"].to_list())
            letters += _letters(source, part, checked, max(ended, 0))
            spool.add(number, checked.accepted, arrival, part.first + checked.row)
            done = part.done
            tell("reading, bytes", before + done, total)
        before += done
    return letters


def _letters(source: Source, part: Part, checked: Checked, arrival: int) -> Iterator[DeadLetter]:
    for row, reason, message, event in checked.rejected.iter_rows():
        place = f"{source.path.name}[{part.first + row}]"
        yield DeadLetter(source.stream.name, arrival, reason, message, event, place)


# --- Appending -----------------------------------------------------------------------------------


def _append(
    log: Settled,
    sources: Sequence[Source],
    spool: Spool,
    reports: Sequence[Report],
    tell: Progress,
    *,
    whole: bool,
    size: int,
) -> None:
    done, total, ended = 0, len(spool), log.arrival()
    for shares in spool.slices(whole=whole, size=size):
        results = import_history(log, [_incoming(sources[share.source], share) for share in shares])
        for share, result in zip(shares, results, strict=True):
            _count(reports[share.source], share, result, ended)
            done += len(share.frame)
        tell("appending, events", done, total)


def _incoming(source: Source, share: Share) -> Incoming:
    return Incoming(
        source.stream, share.frame, source.keys, source.path.name, arrival=share.arrival, rows=share.row
    )


def _count(report: Report, share: Share, result: Ingested, ended: int) -> None:
    report.accepted += result.accepted
    report.duplicates += result.duplicates
    report.refused.update(result.refused)
    if report.accepted:
        new = result.receipt.offset >= 0
        report.behind += int((share.arrival[result.row][new] < ended).sum())
