"""A table of the lake: its columns with their types and meanings, and how it may grow.

Types are those that every reader has: no unsigned integers, no categories, times in microseconds UTC. What
the log holds is in them to the bit. Made by ``source`` from the definition; kept beside the rows by
``parquet`` and ``delta``, which hold the two against each other (:func:`grown`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from headwater.core.errors import DataError, Problem

Unit = Literal["day", "month"]

TYPES: Mapping[str, pl.DataType] = {
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "boolean": pl.Boolean(),
    "string": pl.String(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
}
_NAMES = {type(dtype): name for name, dtype in TYPES.items()}
_WIDER = {
    pl.UInt8: "int16",
    pl.UInt16: "int32",
    pl.UInt32: "int64",
    pl.UInt64: "int64",  # a stream holds integers up to 2^63 - 1
    pl.Enum: "string",
    pl.Categorical: "string",
}
_AWKWARD = frozenset(" ,;{}()\n\t=")  # what Delta and Hive cannot have in a column's name


def type_of(dtype: pl.DataType) -> str:
    """The lake's type of a column that a stream can hold: the narrowest that holds all its values.

    Example:
        >>> type_of(pl.UInt8()), type_of(pl.Enum(["a"])), type_of(pl.Datetime("ns", "UTC"))
        ('int16', 'string', 'int64')
    """
    if isinstance(dtype, pl.Datetime):
        return "int64" if dtype.time_unit == "ns" else "timestamp"  # microseconds would lose digits
    return _WIDER.get(type(dtype)) or _NAMES[type(dtype)]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type (of ``TYPES``), its meaning, and how personal values are in it.

    Attributes:
        personal: ``""`` where it holds none; ``hash`` or ``plain``.
    """

    name: str
    type: str
    meaning: str
    personal: str = ""


@dataclass(frozen=True)
class Table:
    """What a table of the lake holds.

    Attributes:
        name: ``events/payments``: its folder in the lake.
        meaning: one sentence.
        columns: in order.
        date: the column that says in which partition a row lies.
        order: the column that rows ascend by, and that tells one row from another.
        unit: how long a partition is.
        hidden: personal columns that are left out.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    date: str
    order: str
    unit: Unit = "day"
    hidden: tuple[str, ...] = ()

    @property
    def schema(self) -> pl.Schema:
        """The rows' schema, without the partition's column."""
        return pl.Schema({one.name: TYPES[one.type] for one in self.columns})

    def fit(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A frame with exactly the table's columns: null where it has none."""
        missing = [
            pl.lit(None, dtype).alias(name)
            for name, dtype in self.schema.items()
            if name not in frame.columns
        ]
        return frame.with_columns(missing).select(list(self.schema)).cast(self.schema)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are kept beside the rows."""
        columns = [
            {"name": one.name, "type": one.type, "meaning": one.meaning, "personal": one.personal}
            for one in self.columns
        ]
        facts = {"table": self.name, "meaning": self.meaning, "columns": columns}
        return facts | {"partition": self.date, "unit": self.unit, "order": self.order}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Table:
        """The inverse of :meth:`to_json`."""
        columns = tuple(Column(**one) for one in facts["columns"])
        rest = facts["partition"], facts["order"], facts["unit"]
        return cls(facts["table"], facts["meaning"], columns, *rest)


def grown(held: Table, now: Table, where: str) -> Table:
    """The table that goes on from what the lake holds: its columns, then those that are new.

    A column that is no longer declared stays, null from now on.

    Args:
        held: as the lake has it.
        now: as the definition has it.
        where: the table's place, for the error.

    Raises:
        DataError: rows would mean something else than those before them; names every difference.
    """
    DataError.raise_if(_differences(held, now, where))
    declared = {one.name: one for one in now.columns}
    kept = [declared.pop(one.name, one) for one in held.columns]
    return Table(
        now.name, now.meaning, (*kept, *declared.values()), now.date, now.order, now.unit, now.hidden
    )


def nameable(table: Table) -> Table:
    """The table, if every reader can tell its columns apart.

    Raises:
        DataError: two names differ in case alone, one is the lake's own, or has a character that is none.
    """
    DataError.raise_if(_misnamed(table))
    return table


def _differences(held: Table, now: Table, where: str) -> Iterator[Problem]:
    do = "export into another folder; this one may stay as it is"
    if held.date != now.date:
        yield Problem("the lake is partitioned otherwise", held.date, now.date, where, do)
    declared = {one.name: one for one in now.columns}
    for before in held.columns:
        after = declared.get(before.name)
        place = f"{where}: {before.name}"
        if before.name in now.hidden:
            yield Problem(
                f"the column {before.name!r} holds personal values that are now to be left out",
                "a lake without the column",
                f"rows with it ({before.personal or 'declared personal since'})",
                place,
                "export into another folder and delete this one, or ask for the values: --personal plain",
            )
        elif after is not None and after.type != before.type:
            yield Problem(
                f"the column {before.name!r} has another type than in the lake",
                before.type,
                after.type,
                place,
                do,
            )
        elif after is not None and after.personal != before.personal:
            yield Problem(
                f"the personal values of the column {before.name!r} are treated otherwise than in the lake",
                before.personal or "not personal",
                after.personal or "not personal",
                place,
                do + ", or set --personal as it was",
            )


def _misnamed(table: Table) -> Iterator[Problem]:
    names = [one.name for one in table.columns]
    counts = Counter(name.lower() for name in (*names, table.date))
    for name in names:
        if counts[name.lower()] > 1:
            yield Problem(
                f"the column {name!r} cannot be told from another column of its table",
                expected="names that differ by more than case, and are none of the lake's own",
                got=", ".join(one for one in (*names, table.date) if one.lower() == name.lower()),
                where=table.name,
                do="rename the stream's column in a new stream",
            )
        if odd := sorted(_AWKWARD & set(name)):
            yield Problem(
                f"the column {name!r} has a name that tables of a lake cannot have",
                expected="no space and none of , ; { } ( ) =",
                got=" ".join(map(repr, odd)),
                where=table.name,
                do="rename the stream's column in a new stream",
            )


def partitions(table: Table, frame: pl.DataFrame, dates: pl.Series) -> Iterable[tuple[str, pl.DataFrame]]:
    """Rows by partition, each with the partition's text, ascending; rows keep their order.

    Args:
        table: of the rows.
        frame: the rows.
        dates: the date of each, shape (n,).
    """
    keyed = frame.with_columns(partition(table, dates))
    for key, rows in sorted(keyed.partition_by(table.date, as_dict=True, maintain_order=True).items()):
        yield str(key[0]), rows.drop(table.date)


def partition(table: Table, dates: pl.Series) -> pl.Series:
    """The partition's column: dates; of a table by month, texts such as ``2026-01``."""
    text = dates.cast(pl.Date)
    return (text if table.unit == "day" else text.dt.strftime("%Y-%m")).alias(table.date)


def titles(tables: Sequence[Table]) -> str:
    """The reference of some tables, as Markdown."""
    return "\n\n".join(_title(table) for table in tables)


def _title(table: Table) -> str:
    kind = "date" if table.unit == "day" else "string, `YYYY-MM`"
    rows = [
        f"| `{one.name}` | {one.type} | {one.meaning}{_note(one)} |".replace("\n", " ")
        for one in table.columns
    ]
    left_out = f"\n\nLeft out, personal: {', '.join(f'`{name}`' for name in table.hidden)}." * bool(
        table.hidden
    )
    return (
        "\n".join(
            [
                f"## {table.name}",
                "",
                table.meaning,
                "",
                "| column | type | meaning |",
                "|---|---|---|",
                *rows,
                f"| `{table.date}` | {kind} | The partition. |",
            ]
        )
        + left_out
    )


def _note(column: Column) -> str:
    return {"": "", "hash": " Personal: a keyed hash.", "plain": " Personal."}[column.personal]
