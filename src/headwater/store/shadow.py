"""The shadow ledger: what the challenger would have said of decisions that another version answered.

A row for each decision and challenger, and how far the decision records were looked through, written
together: a restart compares nothing twice. Filled by ``monitoring.shadow``; read by ``apps`` and by the gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from headwater.store.database import Kind
from headwater.store.opened import Opened

_TABLES = """
CREATE TABLE compared (
    decision INTEGER NOT NULL, model TEXT NOT NULL, served TEXT NOT NULL, challenger TEXT NOT NULL,
    policy TEXT NOT NULL, decided_at INTEGER NOT NULL, served_score REAL, score REAL,
    served_band TEXT NOT NULL, band TEXT, served_reason TEXT, reason TEXT, failure TEXT,
    PRIMARY KEY (decision, challenger)
) WITHOUT ROWID

CREATE INDEX of_challenger ON compared (challenger, decided_at)

CREATE TABLE reached (one INTEGER PRIMARY KEY CHECK (one = 1), decision INTEGER NOT NULL)
"""
KIND = Kind("rows of the shadow ledger", 0x48575348, 1, _TABLES, durable=False)  # "HWSH"


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A decision, and what the challenger would have said.

    Attributes:
        decision: the record's number.
        model: whose.
        served, challenger: the seals of the version that answered, and of the one that did not: where a
            canary answered, that is the champion.
        policy: whose bands.
        decided_at: microseconds UTC.
        served_score, score: of both; None where the challenger failed.
        served_band, band: the same.
        served_reason, reason: the input that leads the first reason; None where there is no reason.
        failure: the type of the challenger's error; None where it had none.
    """

    decision: int
    model: str
    served: str
    challenger: str
    policy: str
    decided_at: int
    served_score: float
    score: float | None
    served_band: str
    band: str | None
    served_reason: str | None
    reason: str | None
    failure: str | None = None


@dataclass(frozen=True)
class Summary:
    """A challenger in the shadow of one version that answered.

    Attributes:
        model, served, challenger: which; the versions by their seals.
        decisions: that both scored.
        failed: that the challenger could not score.
        first, last: when the first and the last of these were decided, microseconds UTC.
        mean, mean_absolute, largest: of the challenger's score less the one that was served; the largest is
            absolute. None where both scored nothing.
        flips: (served band, challenger's band) to how many; only where they differ.
        reasons_changed: how many have another first reason.
    """

    model: str
    served: str
    challenger: str
    decisions: int
    failed: int
    first: int
    last: int
    mean: float | None
    mean_absolute: float | None
    largest: float | None
    flips: Mapping[tuple[str, str], int]
    reasons_changed: int

    @property
    def flipped(self) -> int:
        """How many decisions would have come out otherwise."""
        return sum(self.flips.values())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        form = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "flips"}
        flips = [{"served": a, "challenger": b, "decisions": n} for (a, b), n in sorted(self.flips.items())]
        return {**form, "flipped": self.flipped, "flips": flips}

    def words(self) -> str:
        """One sentence or two."""
        if not self.decisions:
            return f"The challenger scored none of {self.failed:,} live decisions: it failed on each."
        failed = f" It failed on {self.failed:,} more." if self.failed else ""
        return (
            f"On {self.decisions:,} live decisions the challenger's score is {self.mean:+.4f} apart on"
            f" average and {self.largest:.4f} at most; {self.flipped:,} would have had another band, and"
            f" {self.reasons_changed:,} another first reason.{failed}"
        )


class ShadowLedger(Opened):
    """The ledger of a project. Open it with :meth:`open`; safe to share between threads.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> row = Shadowed(7, "m", "d1", "d2", "p", 5, 0.25, 0.5, "calm", "act", "n", "n")
        >>> with ShadowLedger.open(folder.name + "/shadow.db") as ledger:
        ...     ledger.add(7, [row]), ledger.add(7, [row]), ledger.reached()
        ...     ledger.summaries()[0].flips
        (1, 0, 7)
        {('calm', 'act'): 1}
        >>> folder.cleanup()
    """

    KIND = KIND

    def reached(self) -> int | None:
        """The last decision record that was looked at; None before the first look."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT decision FROM reached").fetchone()
            return None if row is None else int(row[0])

    def add(self, reached: int, rows: Sequence[Shadowed] = ()) -> int:
        """Add rows, and how far the records were looked through; how many rows were new.

        Raises:
            StoreError: the disk. Nothing was written.
        """
        with self._database.writing() as connection:
            before = connection.total_changes
            connection.executemany(_INSERT, [astuple(row) for row in rows])
            new = connection.total_changes - before
            connection.execute(
                "INSERT INTO reached VALUES (1, ?) ON CONFLICT (one)"
                " DO UPDATE SET decision = max(decision, excluded.decision)",
                (reached,),
            )
            return new

    def page(self, *, after: int = 0, limit: int = 100, challenger: str | None = None) -> list[Shadowed]:
        """Rows behind a decision's number, in their order."""
        where, given = (" AND challenger = ?", [challenger]) if challenger is not None else ("", [])
        asked = f"SELECT * FROM compared WHERE decision > ?{where} ORDER BY decision LIMIT ?"  # noqa: S608
        with self._database.reading() as connection:
            return [Shadowed(*row) for row in connection.execute(asked, [after, *given, limit])]

    def summaries(
        self,
        *,
        model: str | None = None,
        challenger: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> list[Summary]:
        """One for each pair of versions, the newest first.

        Args:
            model: only of this model.
            challenger: only of this version, by its seal.
            since: only decisions made from then on, microseconds UTC.
            until: only decisions made by then.
        """
        facts: list[tuple[str, Any]] = [("model = ?", model), ("challenger = ?", challenger)]
        facts += [("decided_at >= ?", since), ("decided_at <= ?", until)]
        given = [value for _, value in facts if value is not None]
        where = " AND ".join(["1 = 1", *(text for text, value in facts if value is not None)])
        with self._database.reading() as connection:
            flips: dict[tuple[str, ...], dict[tuple[str, str], int]] = {}
            for *pair, before, after, count in connection.execute(_FLIPS.format(where=where), given):
                flips.setdefault(tuple(pair), {})[before, after] = count
            found = connection.execute(_PAIRS.format(where=where), given).fetchall()
        return [_summary(row, flips.get(tuple(row[:3]), {})) for row in found]


def _summary(row: Any, flips: Mapping[tuple[str, str], int]) -> Summary:
    model, served, challenger, decisions, failed, first, last, mean, absolute, largest, reasons = row
    return Summary(
        model=model,
        served=served,
        challenger=challenger,
        decisions=decisions,
        failed=failed,
        first=first,
        last=last,
        mean=mean,
        mean_absolute=absolute,
        largest=largest,
        flips=flips,
        reasons_changed=int(reasons or 0),
    )


_INSERT = "INSERT OR IGNORE INTO compared VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PAIRS = (
    "SELECT model, served, challenger, count(score), count(failure), min(decided_at), max(decided_at),"
    " avg(score - served_score), avg(abs(score - served_score)), max(abs(score - served_score)),"
    " sum(score IS NOT NULL AND reason IS NOT served_reason)"
    " FROM compared WHERE {where} GROUP BY model, served, challenger ORDER BY max(decision) DESC"
)
_FLIPS = (
    "SELECT model, served, challenger, served_band, band, count(*) FROM compared"
    " WHERE {where} AND band IS NOT served_band AND score IS NOT NULL"
    " GROUP BY model, served, challenger, served_band, band"
)
