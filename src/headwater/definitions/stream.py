"""A stream: events of one kind, with their columns, their time and their id.

Written by the user; read by views, labels and observations here, and by the door (``core.schema``) when
events come in. Read ``view`` next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import polars as pl

from headwater.core.errors import DefinitionError, Problem
from headwater.core.schema import STORABLE_TEXT, storable
from headwater.definitions.compile import dtype_text
from headwater.definitions.definition import Definition, frozen, name_problems, path


@dataclass(frozen=True, init=False, eq=False)
class Stream(Definition):
    """Events of one kind.

    Args:
        name: an identifier, unique in the project.
        schema: column name to Polars type: integers, floats, Boolean, String, Enum, Categorical, Date or
            Datetime with a zone.
        id: the column that tells one event from another; the same id twice is the same event.
        time: the column that says when the event happened: a Datetime with a zone, or a Date, which is
            read as midnight UTC.
        personal: columns that hold personal data.

    Raises:
        DefinitionError: with all problems at once.

    Example:
        >>> import polars as pl
        >>> Stream("visits", {"user": pl.Int64, "at": pl.Datetime("us", "UTC")}, time="at").time
        'at'
    """

    name: str
    schema: Mapping[str, pl.DataType]
    id: str | None
    time: str
    personal: tuple[str, ...]

    def __init__(
        self,
        name: str,
        schema: Mapping[str, pl.DataType | type[pl.DataType]],
        id: str | None = None,
        time: str = "time",
        personal: Sequence[str] = (),
    ) -> None:
        where = path(name, Stream)
        problems = name_problems(name, f"{where}.name", "stream")
        types = _read_schema(schema, where, problems)
        chosen = (personal,) if isinstance(personal, str) else tuple(personal)
        if types:
            named = {"time": time, **({} if id is None else {"id": id})}
            for argument, column in (*named.items(), *(("personal", column) for column in chosen)):
                problems += unknown(column, schema, f"{where}.{argument}", f"the schema of {where}")
        problems += _time_problems(types.get(time), where)
        problems += _id_problems(types.get(id) if id is not None else None, where)
        DefinitionError.raise_if(problems)
        self._set(name=name, schema=frozen(types), id=id, time=time, personal=tuple(sorted(chosen)))


def unknown(column: object, known: Mapping[str, Any], where: str, place: str) -> list[Problem]:
    """The problem of a column that is not among ``known``, with the nearest name, or none."""
    if isinstance(column, str) and column in known:
        return []
    near = get_close_matches(column, known, 1, 0.75) if isinstance(column, str) else []
    return [
        Problem(
            f"the column {column!r} is not in {place}",
            expected="one of " + (", ".join(known) or "no columns"),
            got=repr(column),
            where=where,
            do=f"did you mean {near[0]!r}?" if near else f"name a column that is in {place}",
        )
    ]


def _read_schema(schema: Any, where: str, problems: list[Problem]) -> dict[str, pl.DataType]:
    if not isinstance(schema, Mapping) or not schema:
        problems.append(
            Problem(
                "a stream needs a schema",
                expected="a mapping from column name to Polars type",
                got=repr(schema),
                where=f"{where}.schema",
                do='name the columns: schema={"id": pl.Int64, "time": pl.Datetime("us", "UTC")}',
            )
        )
        return {}
    types: dict[str, pl.DataType] = {}
    for column, dtype in schema.items():
        place = f"{where}.schema.{column}"
        if not isinstance(column, str) or not column:
            problems.append(
                Problem(
                    "a column has no name", expected="a text", got=repr(column), where=place, do="name it"
                )
            )
        elif (found := _dtype(dtype)) is None or not storable(found):
            problems += _dtype_problem(column, dtype, place)
        else:
            types[column] = found
    return types


def _dtype(dtype: object) -> pl.DataType | None:
    if isinstance(dtype, type) and issubclass(dtype, pl.DataType):
        try:
            return dtype()
        except TypeError:  # a type that needs arguments, such as pl.Enum
            return None
    return dtype if isinstance(dtype, pl.DataType) else None


def _dtype_problem(column: str, dtype: object, where: str) -> list[Problem]:
    found = _dtype(dtype)
    naive = isinstance(found, pl.Datetime)
    return [
        Problem(
            f"the column {column!r} has a type that a stream cannot hold",
            expected=STORABLE_TEXT,
            got=dtype_text(found) if found is not None else repr(dtype),
            where=where,
            do='write pl.Datetime("us", "UTC")' if naive else "choose one of these types",
        )
    ]


def _time_problems(dtype: pl.DataType | None, where: str) -> list[Problem]:
    if dtype is None or isinstance(dtype, pl.Datetime | pl.Date):
        return []
    return [
        Problem(
            "the time column does not hold a time",
            expected='Datetime("us", "UTC") or Date',
            got=dtype_text(dtype),
            where=f"{where}.time",
            do='declare it as pl.Datetime("us", "UTC") in the schema, or name another column',
        )
    ]


def _id_problems(dtype: pl.DataType | None, where: str) -> list[Problem]:
    if dtype is None or dtype.is_integer() or isinstance(dtype, pl.String):
        return []
    return [
        Problem(
            "the id column cannot tell events apart",
            expected="an integer or a String",
            got=dtype_text(dtype),
            where=f"{where}.id",
            do="declare it as pl.Int64 or pl.String",
        )
    ]
