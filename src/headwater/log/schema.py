"""What the log remembers of a stream: its columns with their types, its id, its time, what is personal.

Stored in the log itself, so that a log can be read without the project that wrote it, and so that a
project that no longer fits is told what differs. Made by ``embedded`` from ``Stream`` definitions; each
type knows how its values lie in a record (see ``format``, next).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from headwater.core.errors import LogError, Problem
from headwater.definitions.stream import Stream

_PLAIN: dict[str, pl.DataType] = {
    text: getattr(pl, text)()
    for text in (
        *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
        *("Float32", "Float64", "Boolean", "String", "Date"),
    )
}
_DATETIME = re.compile(r"Datetime\((ms|us|ns), (.+)\)")


@dataclass(frozen=True)
class StoredColumn:
    """A column: its name, its type as text, and an Enum's categories."""

    name: str
    type: str
    categories: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, dtype: pl.DataType) -> StoredColumn:
        """The stored form of a Polars type.

        Raises:
            LogError: the log has no place for values of this type.
        """
        if isinstance(dtype, pl.Enum):
            return cls(name, "Enum", tuple(dtype.categories))
        if isinstance(dtype, pl.Categorical):
            return cls(name, "Categorical")
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
            return cls(name, f"Datetime({dtype.time_unit}, {dtype.time_zone})")
        text = str(dtype)
        if text not in _PLAIN:
            raise LogError.of(
                f"the log cannot hold the column {name!r}",
                expected="integers, floats, Boolean, String, Enum, Categorical, Date or Datetime with a zone",
                got=text,
                do="declare the column with one of these types",
            )
        return cls(name, text)

    @cached_property
    def dtype(self) -> pl.DataType:
        """The Polars type that scans hand out."""
        if self.type == "Enum":
            return pl.Enum(self.categories)
        if self.type == "Categorical":
            return pl.Categorical()
        if match := _DATETIME.fullmatch(self.type):
            return pl.Datetime(match[1], match[2])  # type: ignore[arg-type]  # the unit is one of three
        return _PLAIN[self.type]

    def extends(self, old: StoredColumn) -> bool:
        """Whether values stored as ``old`` mean the same as this: equal, or an Enum that grew at its end."""
        grown = self.type == "Enum" and self.categories[: len(old.categories)] == old.categories
        return self.name == old.name and self.type == old.type and (grown or self.type != "Enum")

    def __str__(self) -> str:
        return f"{self.name}: {self.type}" + (f"[{', '.join(self.categories)}]" if self.categories else "")


@dataclass(frozen=True)
class StoredSchema:
    """One version of a stream's definition as the log holds it."""

    stream: str
    columns: tuple[StoredColumn, ...]
    id: str | None
    time: str
    personal: tuple[str, ...] = ()

    @classmethod
    def of(cls, stream: Stream) -> StoredSchema:
        """What the log stores of a declared stream."""
        columns = tuple(StoredColumn.of(name, dtype) for name, dtype in stream.schema.items())
        return cls(stream.name, columns, stream.id, stream.time, tuple(stream.personal))

    @classmethod
    def from_json(cls, text: str) -> StoredSchema:
        """The inverse of :meth:`to_json`."""
        facts = json.loads(text)
        columns = tuple(
            StoredColumn(name, kind, tuple(categories)) for name, kind, categories in facts["columns"]
        )
        return cls(facts["stream"], columns, facts["id"], facts["time"], tuple(facts["personal"]))

    def to_json(self) -> str:
        """Canonical JSON: one text for one schema."""
        facts = {
            "columns": [[column.name, column.type, column.categories] for column in self.columns],
            "id": self.id,
            "personal": self.personal,
            "stream": self.stream,
            "time": self.time,
        }
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @cached_property
    def fingerprint(self) -> bytes:
        """32 bytes that stand for this schema in the hash chain."""
        return hashlib.sha256(self.to_json().encode()).digest()

    @cached_property
    def frame_schema(self) -> pl.Schema:
        """The schema of every frame of this stream."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @cached_property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    @cached_property
    def dtypes(self) -> list[pl.DataType]:
        """Column types in order."""
        return [column.dtype for column in self.columns]

    def differences(self, old: StoredSchema) -> list[Problem]:
        """Why this schema cannot take over from ``old``; empty if it can.

        A stream may grow: new columns at its end (older events read null there), new categories at the
        end of an Enum, other columns declared personal. Anything else would change what stored events mean.
        """
        return list(self._compare(old))

    def _compare(self, old: StoredSchema) -> Iterator[Problem]:
        where = f"stream {self.stream!r}"
        do = "declare the stream as the log holds it, or start a new stream under another name"
        for position, before in enumerate(old.columns):
            now = self.columns[position] if position < len(self.columns) else None
            if now is None or not now.extends(before):
                what = f"column {position + 1} differs from what the log holds"
                got = str(now) if now is not None else "no such column"
                yield Problem(what, expected=str(before), got=got, where=where, do=do)
        for role, now_role, old_role in (("id", self.id, old.id), ("time", self.time, old.time)):
            if now_role != old_role:
                what = f"the {role} column differs from what the log holds"
                yield Problem(what, expected=repr(old_role), got=repr(now_role), where=where, do=do)
