"""The lake of a project, opened as it is set: for ``headwater lake`` and for the job of a server.

The rows of the reference stand in ``apps.settings``. Read ``scale.lake`` for what is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Self, cast, get_args

from headwater.apps.access.secret import read_secret
from headwater.apps.extras import need
from headwater.apps.settings import Settings
from headwater.apps.stores import records_of
from headwater.core.errors import DataError
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.scale.lake.decided import Decisions
from headwater.scale.lake.export import Exported, Progress, Sink, alone, export
from headwater.scale.lake.parquet import ParquetTable, State, files
from headwater.scale.lake.private import Mode, Private
from headwater.scale.lake.source import Events, Source
from headwater.scale.lake.table import Table, Unit
from headwater.store.folder import DataFolder

FORMS, MODES, UNITS = ("parquet", "delta"), get_args(Mode), get_args(Unit)
PLACE = "HEADWATER_LAKE"
HASH_KEY = "HEADWATER_LAKE_HASH_KEY"


@dataclass(frozen=True)
class LakeSettings:
    """Where the lake is, and how it is written.

    Attributes:
        place: a folder, or an address that Delta can write.
        form: ``parquet`` or ``delta``.
        private: what becomes of personal values.
        unit: how long a partition is: ``day`` or ``month``.
    """

    place: str
    form: str
    private: Private
    unit: Unit

    @classmethod
    def read(
        cls,
        environ: Mapping[str, str],
        data: Path,
        *,
        place: str | None = None,
        form: str | None = None,
        personal: str | None = None,
        by: str | None = None,
    ) -> Self:
        """Given options first, then the environment, then the defaults.

        Args:
            environ: the environment.
            data: the data folder, in which a lake lies that has no place of its own.
            place: the option ``--lake``.
            form: the option ``--format``.
            personal: the option ``--personal``.
            by: the option ``--by``.

        Raises:
            DataError: a setting cannot be read, or Parquet is to be written where only Delta can.
        """
        chosen = _choice("HEADWATER_LAKE_FORMAT", environ, FORMS, form)
        mode = cast("Mode", _choice("HEADWATER_LAKE_PERSONAL", environ, MODES, personal))
        unit = cast("Unit", _choice("HEADWATER_LAKE_BY", environ, UNITS, by))
        where = place or environ.get(PLACE) or str(data / "lake")
        if "://" in where and chosen == "parquet":
            raise DataError.of(
                "Parquet files are exported into a folder of a disk",
                expected="a folder; or Delta tables, for object stores",
                got=where,
                where=PLACE,
                do="write Delta there: --format delta, or HEADWATER_LAKE_FORMAT=delta",
            )
        return cls(where, chosen, Private(mode, read_secret(HASH_KEY, environ)), unit)

    @property
    def remote(self) -> bool:
        """Whether the lake is not on a disk of this machine."""
        return "://" in self.place

    def table(self, name: str) -> str:
        """Where a table is."""
        return f"{self.place.rstrip('/')}/{name}"


@dataclass(frozen=True)
class Lake:
    """The lake of an open project.

    Attributes:
        settings: where and how.
        sources: of its tables.
        data: the data folder.
    """

    settings: LakeSettings
    sources: tuple[Source, ...]
    data: Path

    def export(self, progress: Progress) -> list[Exported]:
        """Bring every table up to date.

        Args:
            progress: told table, place and end after each commit; may raise to end the export.

        Raises:
            DataError: a table cannot go on as it is declared now.
            StoreError: another export writes to it, it is of another log, or cannot be written.
            MissingExtraError: Delta is to be written, and deltalake is not installed.
        """
        lock = self.data / f"lake-{sha256(self.settings.place.encode()).hexdigest()[:12]}.lock"
        if not self.settings.remote:
            Path(self.settings.place).mkdir(parents=True, exist_ok=True)
            lock = Path(self.settings.place) / "_lake.lock"
        opened = self._opener()
        with alone(lock, self.settings.place):
            return export(self.sources, opened, progress)

    def status(self) -> list[dict[str, Any]]:
        """How far each table is, what it holds, and how many places it is behind."""
        found = []
        for source in self.sources:
            state, count, size = self._look(source.table)
            place = 0 if state is None else state.place
            found.append(
                {
                    "table": source.table.name,
                    "rows": 0 if state is None else state.rows,
                    "files": count,
                    "bytes": size,
                    "place": place,
                    "end": source.end(),
                    "behind": source.end() - place,
                }
            )
        return found

    def _look(self, table: Table) -> tuple[State | None, int, int]:
        address = self.settings.table(table.name)
        if self.settings.form == "delta":
            seen: tuple[State, int, int] | None = _delta().look(address)
            return (None, 0, 0) if seen is None else seen
        sizes = [path.stat().st_size for path in files(Path(address))]
        return State.read(Path(address)), len(sizes), sum(sizes)

    def _opener(self) -> Any:
        if self.settings.form == "delta":
            library = _delta()

            def delta(table: Table) -> Sink:
                sink: Sink = library.DeltaTableOf.open(self.settings.table(table.name), table)
                return sink

            return delta
        return lambda table: ParquetTable.open(Path(self.settings.table(table.name)), table)


@contextmanager
def lake_of(project: Project, settings: Settings, lake: LakeSettings) -> Iterator[Lake]:
    """The lake of a project, with its log and its decision records open for reading.

    Args:
        project: whose.
        settings: where log and records are; records that servers share are exported whole.
        lake: where the lake is, and what its tables are.

    Raises:
        LogError: there is no event log yet, or a stream is declared otherwise than it was.
        DataError: a table cannot be made of a definition.
    """
    folder = DataFolder(settings.data)
    with (
        EmbeddedLog.open(folder.log, project.streams, writer=False) as log,
        records_of(settings.data, settings.database) as records,
        records.decisions() as decided,
    ):
        events = [Events(log, one, lake.private, lake.unit) for one in project.streams]
        decisions = [Decisions(decided, one, lake.private, lake.unit) for one in project.policies]
        yield Lake(lake, (*events, *decisions), settings.data)


def _choice(variable: str, environ: Mapping[str, str], allowed: tuple[str, ...], given: str | None) -> str:
    text = given or environ.get(variable) or allowed[0]
    if text not in allowed:
        raise DataError.of(
            f"the setting {variable} cannot be read",
            expected=" or ".join(allowed),
            got=repr(text[:20]),
            do="correct the environment variable, or unset it",
        )
    return text


def _delta() -> Any:
    need("deltalake", "lake", instead="export Parquet")
    return import_module("headwater.scale.lake.delta")
