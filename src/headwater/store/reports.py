"""Reports that were made, kept for good: what a window of time looked like when somebody looked at it.

A report is plain JSON values about a subject (a model) over a window. Made again with the same contents it is
not kept twice; with other contents, as when labels matured meanwhile, it is kept beside the earlier one: the
newest counts, and none is ever changed. Written by ``apps.watching``, read by alerts, pages and jobs.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.core.errors import StoreError
from headwater.store.database import Kind
from headwater.store.decision import canonical_json
from headwater.store.opened import Opened

_TABLES = """
CREATE TABLE reports (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, start INTEGER NOT NULL,
    stop INTEGER NOT NULL, made_at INTEGER NOT NULL, digest TEXT NOT NULL, report TEXT NOT NULL
)

CREATE INDEX reports_of ON reports (kind, subject, stop, start)

CREATE TRIGGER reports_stay BEFORE UPDATE ON reports
    BEGIN SELECT RAISE(ABORT, 'reports are never changed'); END

CREATE TRIGGER reports_remain BEFORE DELETE ON reports
    BEGIN SELECT RAISE(ABORT, 'reports are never deleted'); END
"""
KIND = Kind("reports", 0x48575250, 1, _TABLES)  # "HWRP"
_SELECT = "SELECT number, kind, subject, start, stop, made_at, digest, report FROM reports"


@dataclass(frozen=True, slots=True)
class Report:
    """A report in its place.

    Attributes:
        number: counts from 1, in the order in which reports were made.
        kind: what was looked at, such as ``drift``.
        subject: of what: a model.
        start, stop: the window, microseconds UTC.
        made_at: when, microseconds UTC.
        body: plain JSON values.
    """

    number: int
    kind: str
    subject: str
    start: int
    stop: int
    made_at: int
    body: Mapping[str, Any]


class ReportStore(Opened):
    """The reports of a project. Open it with :meth:`open`; safe to share between threads.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with ReportStore.open(folder.name + "/reports.db") as reports:
        ...     first = reports.keep("drift", "risk", 0, 7, {"level": "quiet"}, now=8)
        ...     again = reports.keep("drift", "risk", 0, 7, {"level": "quiet"}, now=9)
        ...     later = reports.keep("drift", "risk", 0, 7, {"level": "watch"}, now=9)
        ...     first.number, again.number, later.number, reports.newest("drift", "risk").body
        (1, 1, 2, {'level': 'watch'})
        >>> folder.cleanup()
    """

    KIND = KIND

    def keep(
        self, kind: str, subject: str, start: int, stop: int, body: Mapping[str, Any], *, now: int
    ) -> Report:
        """Keep a report; on disk when this returns.

        Args:
            kind: what was looked at.
            subject: of what.
            start: of the window, microseconds UTC.
            stop: the first instant after it.
            body: plain JSON values, without the time at which it was made; NaN and infinity become null.
            now: when it was made, microseconds UTC.

        Returns:
            What is kept: the newest report of the same window, if it holds the same.

        Raises:
            StoreError: the disk, or a body that JSON cannot hold.
        """
        text = _canonical(kind, body)
        digest = hashlib.sha256(text.encode()).hexdigest()
        with self._database.writing() as connection:
            same = "WHERE kind = ? AND subject = ? AND start = ? AND stop = ? ORDER BY number DESC LIMIT 1"
            row = connection.execute(f"{_SELECT} {same}", (kind, subject, start, stop)).fetchone()
            if row is None or row[6] != digest:
                columns = "kind, subject, start, stop, made_at, digest, report"
                cursor = connection.execute(
                    f"INSERT INTO reports ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    (kind, subject, start, stop, now, digest, text),
                )
                row = (cursor.lastrowid, kind, subject, start, stop, now, digest, text)
        return _report(row)

    def newest(self, kind: str, subject: str) -> Report | None:
        """The report of the window that ends last, as it was made last; None if there is none."""
        found = self.windows(kind, subject, limit=1)
        return found[0] if found else None

    def windows(self, kind: str, subject: str, *, limit: int = 100) -> list[Report]:
        """The newest report of each window, the window that ends last first."""
        asked = (
            f"{_SELECT} WHERE number IN (SELECT max(number) FROM reports WHERE kind = ? AND subject = ?"  # noqa: S608
            " GROUP BY start, stop) ORDER BY stop DESC, start DESC LIMIT ?"
        )
        with self._database.reading() as connection:
            return [_report(row) for row in connection.execute(asked, (kind, subject, limit))]

    def page(
        self, *, kind: str | None = None, subject: str | None = None, after: int = 0, limit: int = 100
    ) -> list[Report]:
        """All that was kept, in the order in which it was made, behind the number ``after``."""
        asked = (
            f"{_SELECT} WHERE number > ?1 AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR subject = ?3)"
            " ORDER BY number LIMIT ?4"
        )
        with self._database.reading() as connection:
            return [_report(row) for row in connection.execute(asked, (after, kind, subject, limit))]

    def subjects(self, kind: str) -> list[str]:
        """Of what there are reports, by name."""
        asked = "SELECT DISTINCT subject FROM reports WHERE kind = ? ORDER BY subject"
        with self._database.reading() as connection:
            return [row[0] for row in connection.execute(asked, (kind,))]


def _canonical(kind: str, body: Mapping[str, Any]) -> str:
    try:
        return canonical_json(_finite(body))
    except (TypeError, ValueError) as error:
        raise StoreError.of(
            "a report cannot be written as JSON",
            expected="numbers, texts, Booleans, null, lists and objects",
            got=str(error),
            where=kind,
            do="take such values out of the report",
        ) from None


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _report(row: Any) -> Report:
    number, kind, subject, start, stop, made_at, digest, text = row
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise StoreError.of(
            "a report is not the one that was written",
            expected=f"SHA-256 {digest}",
            got="other contents",
            where=f"{kind} of {subject}, report {number}",
            do="restore the file from a copy",
        )
    return Report(number, kind, subject, start, stop, made_at, json.loads(text))
