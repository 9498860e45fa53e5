"""Where a project's records are opened: in its data folder, or in the database that its servers share.

::

    with records_of(settings.data, settings.database) as records:
        records.decisions()   records.trail()   records.jobs()   records.credentials()   ...

The one place that chooses. What is not shared stays in the data folder: the log, snapshots, kept definitions,
and what monitors derive. Called by the commands, the server and its children.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from importlib import import_module, util
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from headwater.apps.database import DatabaseSettings
from headwater.core.closing import Closing
from headwater.core.errors import MissingExtraError
from headwater.log.protocol import DeadLetters
from headwater.store.apikey import ApiKey
from headwater.store.audit import AuditTrail
from headwater.store.credentials import CredentialStore
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder
from headwater.store.jobs import JobStore
from headwater.store.protocol import Credentials, Decisions, Jobs, Trail

_LIBRARIES = ("sqlalchemy", "alembic", "psycopg")


class Records(Protocol):
    """The records of a project. Each store that is opened is closed by whoever opened it."""

    shared: bool

    def decisions(self) -> Decisions:
        """The decision records, made if there are none."""
        ...

    def decided(self) -> bool:
        """Whether there are decision records."""
        ...

    def trail(self) -> Trail:
        """The audit trail."""
        ...

    def jobs(self) -> Jobs:
        """The jobs."""
        ...

    def credentials(self) -> Credentials:
        """The API keys."""
        ...

    def left_behind(self) -> list[ApiKey]:
        """The keys of the data folder that open nothing, as keys are looked for in a database."""
        ...

    def letters(self, log: Callable[[], DeadLetters], *, move: bool = True) -> DeadLetters:
        """The dead letters.

        Args:
            log: gives the log as it is open now.
            move: bring what the log holds to where the others are, before they are looked at: for whoever has
                the log open for writing.
        """
        ...

    def look(self) -> bool:
        """Whether the records can be reached; asks, and notes the answer."""
        ...

    @property
    def away(self) -> str | None:
        """Why they could not be reached the last time; None while they can. Asks nobody."""
        ...

    def close(self) -> None:
        """Let go of what they lie in."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def records_of(data: Path, database: DatabaseSettings | None, *, checked: bool = True) -> Records:
    """The records of a project.

    Args:
        data: its data folder.
        database: that its servers share; None where there is none.
        checked: see first that the database can be reached and has the tables of this version.

    Raises:
        MissingExtraError: a database is named, and the extra is not installed.
        DataError: its address is none.
        StoreError: it is away, or has other tables.
    """
    folder = DataFolder(data)
    if database is None:
        return _InFolder(folder)
    made = _InDatabase(folder, database)
    try:
        if checked:
            made.check()
    except BaseException:
        made.close()
        raise
    return made


class _Ending(Closing):
    def close(self) -> None:
        """Nothing to let go of."""


class _InFolder(_Ending):
    shared = False
    away = None

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder

    def decisions(self) -> DecisionStore:
        return DecisionStore.open(self._folder.make().decisions)

    def decided(self) -> bool:
        return self._folder.decisions.is_file()

    def trail(self) -> AuditTrail:
        return AuditTrail.open(self._folder.make().access)

    def jobs(self) -> JobStore:
        return JobStore.open(self._folder.make().jobs)

    def credentials(self) -> CredentialStore:
        return CredentialStore.open(self._folder.make().access)

    def left_behind(self) -> list[ApiKey]:
        return []

    def letters(self, log: Callable[[], DeadLetters], *, move: bool = True) -> DeadLetters:  # noqa: ARG002
        return log()

    def look(self) -> bool:
        return True


class _InDatabase(_Ending):
    shared = True

    def __init__(self, folder: DataFolder, settings: DatabaseSettings) -> None:
        self._folder = folder
        self._door = library()
        address = self._door.Address.read(settings.url)
        self.database = self._door.Database(address, pool=settings.pool, patience=settings.patience)

    def check(self) -> None:
        """Raises StoreError where the tables are not those of this version."""
        self._door.need_current(self.database)

    def decisions(self) -> Decisions:
        found: Decisions = self._door.PostgresDecisions(self.database)
        return found

    def decided(self) -> bool:
        return True

    def trail(self) -> Trail:
        found: Trail = self._door.PostgresTrail(self.database)
        return found

    def jobs(self) -> Jobs:
        found: Jobs = self._door.PostgresJobs(self.database)
        return found

    def credentials(self) -> Credentials:
        found: Credentials = self._door.PostgresCredentials(self.database)
        return found

    def left_behind(self) -> list[ApiKey]:
        if not self._folder.access.is_file():
            return []
        with CredentialStore.open(self._folder.access) as store:
            return store.listing()

    def letters(self, log: Callable[[], DeadLetters], *, move: bool = True) -> DeadLetters:
        shared: DeadLetters = self._door.PostgresDeadLetters(self.database)
        found: DeadLetters = self._door.Moved(shared, log, _origin(self._folder)) if move else shared
        return found

    def look(self) -> bool:
        return bool(self.database.look())

    @property
    def away(self) -> str | None:
        told: str | None = self.database.away
        return told

    def close(self) -> None:
        self.database.close()


def library() -> Any:
    """The door of ``scale.postgres``.

    Raises:
        MissingExtraError: a library is missing.
    """
    if any(util.find_spec(name) is None for name in _LIBRARIES):
        raise MissingExtraError.of(
            "the libraries for Postgres are not installed",
            expected="the packages " + ", ".join(_LIBRARIES),
            do="pip install 'headwater[postgres]'",
        )
    return import_module("headwater.scale.postgres.door")


def _origin(folder: DataFolder) -> str:
    """What the log of a data folder is known by among those of other servers: drawn once, and kept."""
    file = folder.make().origin
    if not file.is_file():
        beside = file.with_suffix(f".{uuid.uuid4().hex}")
        beside.write_text(uuid.uuid4().hex + "\n", encoding="utf-8")
        beside.replace(file)
    return file.read_text(encoding="utf-8").strip()
