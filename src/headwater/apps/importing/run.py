"""The whole way of an import: read and check every file, then append all events in order of time.

Nothing is appended before every file was read to its end, so that a damaged file leaves the log as it was.
Then slices of about 260,000 events go in, each in one transaction. An import that was interrupted between
two of them is run again: events with ids that are there already are duplicates and change nothing. Streams
without ids cannot tell; imports that hold one go in as one slice, and a ledger refuses the same file twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from headwater.apps.importing.files import Form, Part, parts, texts
from headwater.apps.importing.spool import BUDGET, SLICE, Share, Spool
from headwater.core.batch import Int64
from headwater.core.cast import fit, microseconds
from headwater.core.errors import DataError
from headwater.core.instant import LATEST
from headwater.core.schema import Checked, check_frame
from headwater.definitions.stream import Stream
from headwater.log.embedded import EmbeddedLog
from headwater.log.ingest import Incoming, Ingested, import_history
from headwater.log.protocol import Append, DeadLetter, Letters, Receipt

Progress = Callable[[str, int, int], None]

_CLOCK = pl.Datetime("us", "UTC")
_PAGE = 10_000


@dataclass(frozen=True)
class Source:
    """One file of events.

    Attributes:
        stream: whose events they are.
        path: the file.
        keys: columns in which null is refused.
        columns: column of the stream to the file's name for it, where they differ.
        arrival: the file's column that says when each event became known; None: when it happened.
        form: how a CSV file is written.
        extra: drop columns that are not declared, instead of refusing the file.
    """

    stream: Stream
    path: Path
    keys: Collection[str] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    arrival: str | None = None
    form: Form = field(default_factory=Form)
    extra: bool = False


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
    anonymous = _Ledger(ledger, log.end(), [one for one in sources if one.stream.id is None])
    anonymous.refuse_repeats(again)
    with TemporaryDirectory(prefix="import-", dir=ledger.parent) as space:
        spool = Spool(Path(space), budget)
        letters = _read(sources, spool, reports, lateness, log.arrival(), tell)
        settled = _Settled(log)
        anonymous.note()
        _append(settled, sources, spool, reports, tell, whole=bool(anonymous.sources), size=size)
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
            checked, arrival = _checked(source, part, lateness)
            report.received += len(part.frame)
            report.refused.update(checked.rejected["reason"].to_list())
            letters += _letters(source, part, checked, max(ended, 0))
            spool.add(number, checked.accepted, arrival, part.first + checked.row)
            done = part.done
            tell("reading, bytes", before + done, total)
        before += done
    return letters


def _checked(source: Source, part: Part, lateness: int | None) -> tuple[Checked, Int64]:
    """The rows of a part behind the door, and when each accepted one arrived."""
    frame, arrived = _columns(source, part)
    checked = _door(source, frame, None)
    if arrived is None:
        return checked, checked.time
    arrival = arrived[checked.row]
    if lateness is not None and (late := checked.time < arrival - lateness).any():
        checked, arrival = _without_late(source, checked, arrival, late)
    return checked, arrival


def _door(source: Source, frame: pl.DataFrame, oldest: int | None) -> Checked:
    stream = source.stream
    return check_frame(
        frame,
        stream.schema,
        time=stream.time,
        id=stream.id,
        keys=source.keys,
        personal=stream.personal,
        oldest=oldest,
        parse=texts(source.path),
        extra=source.extra,
        name=str(source.path),
    )


def _without_late(
    source: Source, checked: Checked, arrival: Int64, late: np.ndarray
) -> tuple[Checked, Int64]:
    """Late rows become rejected ones, as the door words it."""
    places = checked.row[late]
    refused = _door(source, checked.accepted.filter(late), LATEST + 1).rejected
    refused = refused.with_columns(pl.Series("row", places, pl.Int64))
    rejected = pl.concat([checked.rejected, refused]).sort("row")
    kept = Checked(checked.accepted.filter(~late), checked.row[~late], checked.time[~late], rejected)
    return kept, arrival[~late]


def _columns(source: Source, part: Part) -> tuple[pl.DataFrame, Int64 | None]:
    """The part's columns by the stream's names, and the arrivals, if the file has them."""
    frame = part.frame
    _need(source, frame)
    arrived = None
    if source.arrival is not None:
        arrived = _arrivals(source, frame[source.arrival])
        if source.arrival not in source.stream.schema and source.arrival not in source.columns.values():
            frame = frame.drop(source.arrival)
    names = {theirs: ours for ours, theirs in source.columns.items()}
    frame = frame.drop(source.columns.keys() - names.keys(), strict=False).rename(names, strict=False)
    if part.first and _sparse(source):
        absent = [name for name in source.stream.schema if name not in frame.columns]
        frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
    return frame, arrived


def _need(source: Source, frame: pl.DataFrame) -> None:
    """Complain of columns that were named and are not there, and of a file without a header."""
    declared = {source.columns.get(name, name) for name in source.stream.schema}
    if not declared & set(frame.columns):
        raise DataError.of(
            "the file has none of the stream's columns: it has no header, another one, or another separator",
            expected=", ".join(source.columns.get(name, name) for name in source.stream.schema),
            got=f"{frame.width} columns of other names",  # not the names: without a header, these are values
            where=str(source.path),
            do="add the header, or say --separator ';' or --map column=name",
        )
    named = [] if source.arrival is None else [source.arrival]
    named += [] if _sparse(source) else source.columns.values()
    for name in named:
        if name not in frame.columns:
            raise DataError.of(
                f"the file has no column {name!r}",
                expected=f"a column {name!r}, as the call names it",
                got=", ".join(frame.columns),
                where=str(source.path),
                do="correct --map or --arrival",
            )


def _sparse(source: Source) -> bool:
    """Whether a column may be absent from a part because all of its values are null there: NDJSON."""
    return source.path.suffix.lower() in (".ndjson", ".jsonl")


def _arrivals(source: Source, series: pl.Series) -> Int64:
    fitted = fit(series, _CLOCK, parse=True)
    if fitted is None or fitted.failures or series.null_count():
        raise DataError.of(
            "the arrival column does not hold a time with a zone in each row",
            expected="times such as 2026-01-31T12:00:00Z, without nulls",
            got=f"{series.dtype} with {series.null_count()} nulls" if series.null_count() else "other values",
            where=f"{source.path}.{series.name}",
            do="mend the column, or leave --arrival out if events were known when they happened",
        )
    return microseconds(fitted.values).to_numpy()


def _letters(source: Source, part: Part, checked: Checked, arrival: int) -> Iterator[DeadLetter]:
    for row, reason, message, event in checked.rejected.iter_rows():
        place = f"{source.path.name}[{part.first + row}]"
        yield DeadLetter(source.stream.name, arrival, reason, message, event, place)


# --- Appending -----------------------------------------------------------------------------------


def _append(
    log: _Settled,
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


class _Settled:
    """The log, but a dead letter that it holds already is not stored again: a repeated import adds none."""

    def __init__(self, log: EmbeddedLog) -> None:
        self._log = log
        self._known = set(_held(log))
        self.append, self.scan, self.end, self.arrival = log.append, log.scan, log.end, log.arrival

    def append_many(
        self, appends: Sequence[Append], *, merge: bool = False, letters: Letters | None = None
    ) -> list[Receipt]:
        """As the log's, without the letters that are known."""

        def new(receipts: Sequence[Receipt]) -> list[DeadLetter]:
            found = [] if letters is None else letters(receipts)
            fresh = {_mark(letter): letter for letter in found if _mark(letter) not in self._known}
            self._known |= fresh.keys()
            return list(fresh.values())

        return self._log.append_many(appends, merge=merge, letters=new)


def _held(log: EmbeddedLog) -> Iterator[bytes]:
    after = 0
    while page := log.dead_letters(after=after, limit=_PAGE):
        yield from map(_mark, page)
        after = page[-1].id


def _mark(letter: DeadLetter) -> bytes:
    facts = (letter.stream, letter.source, letter.reason, letter.message, letter.event)
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).digest()


# --- Streams without ids -------------------------------------------------------------------------


class _Ledger:
    """Which files went into streams without ids, by their checksum, and where the log ended before."""

    def __init__(self, path: Path, end: int, sources: Sequence[Source]) -> None:
        self._path = path
        self._end = end
        self.sources = sources
        self._held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        self._marks = {_file_mark(one): one for one in sources if one.path.is_file()}

    def refuse_repeats(self, again: bool) -> None:
        """Complain of a file that went in before; one whose import never reached the log did not."""
        for mark, source in self._marks.items():
            if not again and mark in self._held and self._end > self._held[mark]["end"]:
                raise DataError.of(
                    f"the file was imported before, and events of {source.stream.name} have no id",
                    expected="a new file, or a stream with an id",
                    got=self._held[mark]["file"],
                    where=str(source.path),
                    do="declare id= in the stream; or say --again if the events shall count twice",
                )

    def note(self) -> None:
        """Write down the files, before the first of their events is appended."""
        if self._marks:
            files = {mark: {"file": str(one.path), "end": self._end} for mark, one in self._marks.items()}
            beside = self._path.with_name(self._path.name + ".new")
            beside.write_text(json.dumps({**self._held, **files}, indent=1) + "\n", encoding="utf-8")
            beside.replace(self._path)


def _file_mark(source: Source) -> str:
    with source.path.open("rb") as file:
        return f"{source.stream.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}"
