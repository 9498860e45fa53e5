"""A measure's result, as a table for people and JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Promise:
    """What Headwater wants to hold, and whether this run shows it; ``kept`` is None if it does not."""

    text: str
    wanted: str
    got: str
    kept: bool | None

    @property
    def verdict(self) -> str:
        return {True: "kept", False: "MISSED", None: "not told"}[self.kept]


@dataclass(frozen=True)
class Measured:
    """One measure: a table, promises, and everything behind them."""

    name: str
    title: str
    method: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    promises: Sequence[Promise] = ()
    notes: Sequence[str] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "method": " ".join(self.method.split()),
            "table": [dict(zip(self.headers, row, strict=True)) for row in self.rows],
            "promises": [{**vars(promise), "verdict": promise.verdict} for promise in self.promises],
            "notes": list(self.notes),
            **self.facts,
        }


def show(measured: Measured, console: Console) -> None:
    """Print a measure: what was done, the table, the promises."""
    console.print(f"\n[bold]{measured.title}[/bold]")
    console.print(" ".join(measured.method.split()), style="dim")
    if measured.headers == [""]:  # a program's own table
        for (line,) in measured.rows:
            console.print(line, highlight=False, soft_wrap=True, markup=False)
    else:
        console.print(_table(measured))
    for note in measured.notes:
        console.print(note, style="dim")
    for promise in measured.promises:
        style = {True: "green", False: "bold red", None: "yellow"}[promise.kept]
        told = f"{promise.text}: wanted {promise.wanted}, got {promise.got}"
        console.print(f"  [{style}]{promise.verdict:<8}[/{style}] {told}", highlight=False)


def _table(measured: Measured) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, header in enumerate(measured.headers):
        table.add_column(header, justify="left" if place == 0 else "right", overflow="fold")
    for row in measured.rows:
        table.add_row(*row)
    return table


def rate(per_second: float) -> str:
    """Events per second, short: 2.41 M/s."""
    if per_second >= 1e6:
        return f"{per_second / 1e6:,.2f} M/s"
    return f"{per_second / 1e3:,.1f} k/s" if per_second >= 1e3 else f"{per_second:,.0f} /s"


def mebibytes(count: float) -> str:
    return f"{count / 2**20:,.0f} MiB"


def times(factor: float) -> str:
    """A ratio: 12 x, or 3.4 x."""
    return f"{factor:,.0f} x" if factor >= 20 else f"{factor:,.1f} x"
