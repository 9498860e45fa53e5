"""A table as a Delta table: the transaction that adds files says how far they reach, too.

So a row is in the table exactly once: a transaction is there or not, and of two that go on from the same
place one is refused by Delta itself. Works on whatever storage Delta does (``s3://``, ``abfss://``, ``gs://``,
a disk); the library reads credentials from the environment. The only importer of deltalake. Called by
``apps.lakes``, through ``export``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType

from headwater.core.errors import StoreError
from headwater.scale.lake.parquet import State
from headwater.scale.lake.source import Chunk
from headwater.scale.lake.table import Column, Table, Unit, grown, partition

APP = "headwater"
_NOTE = "headwater"  # in the metadata of a commit
_TIDY = 64  # versions between two that put small files together
_DELTA = {
    "int8": "byte",
    "int16": "short",
    "int32": "integer",
    "int64": "long",
    "float32": "float",
    "float64": "double",
}
_LAKE = {delta: lake for lake, delta in _DELTA.items()}


class DeltaTableOf:
    """A Delta table, for the one that writes it. Open it with :meth:`open`.

    Attributes:
        state: how far it is.
    """

    def __init__(self, delta: DeltaTable, state: State) -> None:
        """Use :meth:`open`."""
        self._delta = delta
        self.state = state

    @classmethod
    def open(cls, address: str, table: Table) -> DeltaTableOf:
        """Open a table, made if there is none; new columns are added to it.

        Args:
            address: a path or an address that Delta can write.
            table: as the definition has it now.

        Raises:
            DataError: the table that is there cannot go on as this one.
            StoreError: the storage cannot be reached, or the table is not ours.
        """
        try:
            try:
                delta = DeltaTable(address)
            except TableNotFoundError:
                return cls(_created(address, table), State(table))
            found = read(delta, address)
            whole = grown(found.table, table, address)
            if new := whole.columns[len(found.table.columns) :]:
                delta.alter.add_columns([_field(one) for one in new])
                delta = DeltaTable(address)
        except (DeltaError, OSError) as error:
            raise _failed(address, error) from error
        return cls(delta, State(whole, found.place, found.mark, found.rows))

    def append(self, chunk: Chunk, mark: str) -> int:
        """Commit rows and how far they reach, all or none; how many files were written.

        Raises:
            StoreError: somebody else has gone on from the same place, or the storage.
        """
        table = self.state.table
        rows = table.fit(chunk.frame).with_columns(partition(table, chunk.dates))
        total = self.state.rows + len(rows)
        if rows.is_empty():  # no transaction for nothing: they are looked at again next time
            self.state = State(table, chunk.reached, mark, total)
            return 0
        before = len(self._delta.file_uris())
        try:
            write_deltalake(
                self._delta, rows, mode="append", commit_properties=_commit(chunk.reached, mark, total)
            )
            self._delta.update_incremental()
            written = len(self._delta.file_uris()) - before
            if self._delta.version() % _TIDY == 0:
                self._tidy(chunk.reached, mark, total)
        except CommitFailedError as error:
            raise StoreError.of(
                "another export has written to this table of the lake",
                expected=f"a table that reaches {self.state.place:,}",
                got=str(error)[:200],
                where=self._delta.table_uri,
                do="let one export write a lake; then run it again, nothing is in it twice",
            ) from error
        except (DeltaError, OSError) as error:
            raise _failed(self._delta.table_uri, error) from error
        self.state = State(table, chunk.reached, mark, total)
        return written

    def close(self) -> None:
        """Nothing is held."""

    def _tidy(self, place: int, mark: str, rows: int) -> None:
        """Put small files together; remove those that nobody reads any more, after a week."""
        self._delta.optimize.compact(commit_properties=_commit(place, mark, rows))
        self._delta.vacuum(dry_run=False)


def read(delta: DeltaTable, address: str) -> State:
    """What a Delta table says of itself.

    Raises:
        StoreError: it is not one of ours.
    """
    place = delta.transaction_version(APP)
    facts = next((one[_NOTE] for one in delta.history(20) if _NOTE in one), None)
    note: Mapping[str, Any] = json.loads(facts) if facts else {}
    fields = delta.schema().fields
    parts = delta.metadata().partition_columns
    if (place is None and not facts) or len(parts) != 1:
        raise StoreError.of(
            "there is a Delta table where a table of the lake is to be, and nothing says how far it goes",
            expected="no table, or one that Headwater made",
            where=address,
            do="export into another folder",
        )
    columns = tuple(_column(one) for one in fields if one.name not in parts)
    unit: Unit = "month" if parts[0].endswith("_month") else "day"
    meta = delta.metadata()
    table = Table(str(meta.name), str(meta.description), columns, parts[0], columns[0].name, unit)
    return State(table, place or 0, note.get("mark", ""), note.get("rows", 0))


def look(address: str) -> tuple[State, int, int] | None:
    """How far a table is, how many files it has, and their bytes; None if there is none.

    Raises:
        StoreError: the storage cannot be reached, or the table is not ours.
    """
    try:
        delta = DeltaTable(address)
        sizes = delta.get_add_actions(flatten=True)["size_bytes"].to_pylist()
        return read(delta, address), len(sizes), sum(sizes)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise _failed(address, error) from error


def _created(address: str, table: Table) -> DeltaTable:
    kind = "date" if table.unit == "day" else "string"
    fields = [*map(_field, table.columns), Field(table.date, PrimitiveType(kind), nullable=True)]
    return DeltaTable.create(
        address,
        Schema(fields),
        partition_by=[table.date],
        name=table.name,
        description=table.meaning,
        commit_properties=_commit(0, "", 0),
    )


def _commit(place: int, mark: str, rows: int) -> CommitProperties:
    note = json.dumps({"mark": mark, "rows": rows})
    return CommitProperties(custom_metadata={_NOTE: note}, app_transactions=[Transaction(APP, place)])


def _field(column: Column) -> Field:
    known = {"comment": column.meaning} | ({"headwater.personal": column.personal} if column.personal else {})
    return Field(
        column.name, PrimitiveType(_DELTA.get(column.type, column.type)), nullable=True, metadata=known
    )


def _column(field: Field) -> Column:
    kind = str(getattr(field.type, "type", field.type))
    known = field.metadata
    return Column(
        field.name,
        _LAKE.get(kind, kind),
        str(known.get("comment", "")),
        str(known.get("headwater.personal", "")),
    )


def _failed(address: str, error: Exception) -> StoreError:
    return StoreError.of(
        "a Delta table of the lake cannot be read or written",
        got=f"{type(error).__name__}: {str(error)[:200]}",
        where=address,
        do="look at the storage, its credentials and the address; then run it again, nothing is in it twice",
    )
