"""What a server serves, as far as a load must know it: its streams and policies, out of ``GET /v1/plan``.

Called by ``headwater bench load``; read ``requests`` for what is made of it.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from headwater.core.errors import DataError

T = TypeVar("T")
_NUMBERS = re.compile(r"U?Int\d+|Float\d+")


@dataclass(frozen=True)
class StreamShape:
    """A stream.

    Attributes:
        name: of it.
        columns: to their types, in the plan's words.
        id: the column that tells events apart; None if nothing does.
        time: the column with the event's time.
        keys: the columns that views are keyed by.
        words: text columns to words that the project looks for in them.
    """

    name: str
    columns: Mapping[str, str]
    id: str | None
    time: str
    keys: frozenset[str]
    words: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class PolicyShape:
    """A policy: its name, and the keys and request columns of its model with their types."""

    name: str
    keys: Mapping[str, str]
    request: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """What is served."""

    streams: Mapping[str, StreamShape]
    policies: Mapping[str, PolicyShape]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Target:
        """Read a compiled project."""
        views, models = definition["views"], definition["models"]
        streams = {
            name: _stream(stream, [view for view in views.values() if view["stream"] == name])
            for name, stream in definition["streams"].items()
        }
        policies = {
            name: _policy(name, models[policy["model"]], views, streams)
            for name, policy in definition["policies"].items()
        }
        return cls(streams, policies)

    def stream(self, name: str | None) -> StreamShape:
        """The stream of a name, or the only one.

        Raises:
            DataError: there is none of this name, or several to choose from.
        """
        return _chosen("stream", name, self.streams, "--stream")

    def policy(self, name: str | None) -> PolicyShape:
        """The policy of a name, or the only one.

        Raises:
            DataError: there is none of this name, or several to choose from.
        """
        return _chosen("policy", name, self.policies, "--policy")


def categories(dtype: str) -> list[str] | None:
    """The categories of an Enum's text; None of another type.

    Example:
        >>> categories("Enum(['credit', 'debit'])"), categories("String")
        (['credit', 'debit'], None)
    """
    if not dtype.startswith("Enum("):
        return None
    return [str(one) for one in ast.literal_eval(dtype[len("Enum(") : -1])]


def _chosen(noun: str, name: str | None, known: Mapping[str, T], option: str) -> T:
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        raise DataError.of(
            f"there is no such {noun}" if name is not None else f"the project has more than one {noun}",
            expected=", ".join(sorted(known)) or f"a {noun}; the project has none",
            got=None if name is None else repr(name),
            do=f"name one with {option}",
        )
    return known[name]


def _stream(stream: Mapping[str, Any], views: Collection[Mapping[str, Any]]) -> StreamShape:
    texts = {name for name, dtype in stream["schema"].items() if not _NUMBERS.fullmatch(dtype)}
    words: dict[str, set[str]] = {}
    for view in views:
        _gather(view["features"], texts, words)
    return StreamShape(
        stream["name"],
        stream["schema"],
        stream["id"],
        stream["time"],
        frozenset(view["key"] for view in views),
        {name: tuple(sorted(found)) for name, found in words.items()},
    )


def _policy(
    name: str,
    model: Mapping[str, Any],
    views: Mapping[str, Any],
    streams: Mapping[str, StreamShape],
) -> PolicyShape:
    of = [views[view] for view in model["features"]]
    keys = {view["key"]: streams[view["stream"]].columns[view["key"]] for view in of}
    observed = model["observe"].get("stream")  # None: looked at now and then, and what is asked is a number
    columns = streams[observed].columns if observed in streams else {}
    return PolicyShape(name, keys, {one: columns.get(one, "Float64") for one in model["request"]})


def _gather(tree: Any, texts: Collection[str], words: dict[str, set[str]]) -> tuple[set[str], set[str]]:
    """The columns and texts of an expression; texts that meet one column alone are words of that column."""
    if isinstance(tree, Mapping):
        if set(tree) == {"Column"} and isinstance(tree["Column"], str):
            return {tree["Column"]}, set()
        if set(tree) == {"Literal"}:
            return set(), set(_literal(tree))
    parts = tree.values() if isinstance(tree, Mapping) else tree if isinstance(tree, list) else ()
    found = [_gather(part, texts, words) for part in parts]
    columns = set().union(*(one for one, _ in found))
    said = set().union(*(one for _, one in found))
    if said and len(columns) == 1 and columns <= set(texts):
        words.setdefault(next(iter(columns)), set()).update(said)
        return columns, set()
    return columns, said


def _literal(tree: Mapping[str, Any]) -> Iterator[str]:
    try:
        found = pl.select(pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")).to_series()
    except pl.exceptions.PolarsError:  # written by another version of Polars
        return
    while isinstance(found.dtype, pl.List):
        found = found.explode()
    if found.dtype == pl.String:
        yield from (text for text in found.to_list() if text is not None)
