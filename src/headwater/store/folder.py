"""Where everything of a project lies on disk: one data folder, the log beside what is derived from it.

::

    events.log     the truth (``log.embedded``)
    snapshots/     the engine's state at some offsets (``store.snapshots``)
    decisions.db   what was decided (``store.decisions``)
    definitions.db what it was decided with (``store.definitions``)
    access.db      who may ask, and what was administered (``store.credentials``, ``store.audit``)
    late.db        what late events moved (``store.late``)
    parity.db      what was served and came out otherwise (``store.parity``)
    shadow.db      what challengers would have said (``store.shadow``)
    reports.db     what watching found, by window (``store.reports``)
    alerts.db      what somebody must look at, and who was told (``store.alerts``)
    jobs.db        what was run, when, why and with what outcome (``store.jobs``); jobs.lock: whose turn it is
    mlflow.db      the models (``models.registry``), with their files under mlruns/
    registry/      what a registry elsewhere said last, and its models (``models.recalled``)
    models.json    what it said last (``models.noted``)
    origin         what this folder's log is called in a database that servers share (``apps.stores``)

Called by ``apps``, which say where the folder is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths of a data folder; makes nothing but the folder itself, and that only when asked.

    Example:
        >>> DataFolder(Path("bank/.headwater")).log.as_posix()
        'bank/.headwater/events.log'
    """

    path: Path

    def make(self) -> DataFolder:
        """The folder, made if it is not there."""
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    @property
    def log(self) -> Path:
        """The event log's file."""
        return self.path / "events.log"

    @property
    def snapshots(self) -> Path:
        """The folder of the snapshots."""
        return self.path / "snapshots"

    @property
    def decisions(self) -> Path:
        """The file of the decision records."""
        return self.path / "decisions.db"

    @property
    def definitions(self) -> Path:
        """The file of the definitions that were ever in force."""
        return self.path / "definitions.db"

    @property
    def access(self) -> Path:
        """The file of the API keys and of the audit trail."""
        return self.path / "access.db"

    @property
    def late(self) -> Path:
        """The file of the late ledger."""
        return self.path / "late.db"

    @property
    def parity(self) -> Path:
        """The file of the parity ledger."""
        return self.path / "parity.db"

    @property
    def shadow(self) -> Path:
        """The file of the shadow ledger."""
        return self.path / "shadow.db"

    @property
    def reports(self) -> Path:
        """The file of the reports."""
        return self.path / "reports.db"

    @property
    def alerts(self) -> Path:
        """The file of the alerts."""
        return self.path / "alerts.db"

    @property
    def jobs(self) -> Path:
        """The file of the jobs."""
        return self.path / "jobs.db"

    @property
    def jobs_lock(self) -> Path:
        """The file that is held while jobs are planned and run."""
        return self.path / "jobs.lock"

    @property
    def origin(self) -> Path:
        """The file with the name of this folder's log."""
        return self.path / "origin"

    @property
    def registry(self) -> Path:
        """The folder of what is remembered of a registry elsewhere."""
        return self.path / "registry"
