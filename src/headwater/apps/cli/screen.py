"""Where a command writes: results on stdout, as tables or as one JSON document; progress on stderr.

Texts from outside (events, names) are shown as they are, never as markup or terminal commands. Called by
every command.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Protocol

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from headwater.apps.cli.failures import printable
from headwater.core.instant import instant, iso

_WIDE = 1_000  # columns, where nobody looks: tables in a pipe are not wrapped


class Advance(Protocol):
    """Told how far a stage has come."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` of a stage."""
        ...


class Screen:
    """Writes for people, or for machines.

    Args:
        as_json: one JSON document instead of tables.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = _console(sys.stdout)
        self._err = _console(sys.stderr)

    def write(self, document: Mapping[str, Any]) -> None:
        """The result as one JSON document: ASCII, NaN as null, times as ISO 8601."""
        click.echo(json.dumps(plain(document), indent=1, allow_nan=False))

    def say(self, text: str = "", style: str = "") -> None:
        """A line of the result."""
        self._out.print(Text(printable(text), style=style), soft_wrap=True)

    def note(self, text: str) -> None:
        """Something to know beside the result, on stderr; nothing with JSON."""
        if not self.as_json:
            self._err.print(Text(printable(text), style="yellow"), soft_wrap=True)

    def table(
        self,
        title: str | None,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        numbers: Sequence[str] = (),
    ) -> None:
        """A table of the result; the columns named in ``numbers`` stand to the right."""
        if title is not None:
            self.say(title, "bold")
        table = Table(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
        )
        for column in columns:
            table.add_column(Text(printable(column)), justify="right" if column in numbers else "left")
        for row in rows:
            table.add_row(*(Text(printable(shown(value))) for value in row))
        self._out.print(table)
        self._out.print()

    @contextmanager
    def progress(self, *, one_bar: bool = False) -> Iterator[Advance]:
        """Bars on stderr, one a stage, or one whose name is the stage; silent where stderr is no terminal."""
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._err,
            transient=True,
            disable=self.as_json or not self._err.is_terminal,
        )
        tasks: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int) -> None:
            key = "" if one_bar else stage
            if key not in tasks:
                tasks[key] = bars.add_task(stage, total=total)
            bars.update(tasks[key], description=stage, completed=done, total=total)

        with bars:
            yield advance


def shown(value: Any) -> str:
    """A value as a person reads it.

    Example:
        >>> shown(1234567), shown(0.123456), shown(None), shown(True)
        ('1,234,567', '0.1235', '-', 'yes')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.2f}"
    if isinstance(value, datetime):
        return iso(instant(value))
    return str(value)


def plain(value: Any) -> Any:
    """A value as plain JSON: no NaN, no dates, only str keys."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return iso(instant(value))
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


class _Console(Console):
    """A console that leaves it to ``failures`` what happens when nobody reads on."""

    def on_broken_pipe(self) -> None:
        """Not rich's way, which ends the process with 1."""
        raise BrokenPipeError


def _console(stream: Any) -> Console:
    wide = None if stream.isatty() else _WIDE
    return _Console(file=stream, width=wide, markup=False, highlight=False, emoji=False)
