"""What a document is: sections of words, tiles, tables and pictures, as plain values that ``html`` sets.

Made by ``apps.reporting`` and ``training.card``. A section without its data says why in ``missing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Tone = Literal["plain", "good", "watch", "alarm", "quiet"]
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure to be seen at a glance: its name, its value, and what it is beside."""

    name: str
    value: str
    beside: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Tiles:
    """Several figures side by side."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table with a tone."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows.
        columns: their names.
        rows: texts or cells, as many as columns.
        numbers: places of the columns that stand to the right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls,
        caption: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        numbers: Sequence[int] = (),
    ) -> Table:
        """A table of any values: what is no cell yet is written by :func:`written`."""
        cells = tuple(tuple(v if isinstance(v, Cell) else Cell(written(v)) for v in row) for row in rows)
        return cls(caption, tuple(columns), cells, frozenset(numbers))


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture.

    Attributes:
        svg: one ``<svg>`` element, as ``chart`` makes it.
        alt: what it shows, for whoever does not see it.
        caption: below it.
    """

    svg: str
    alt: str
    caption: str


Block = Words | Tiles | Table | Picture


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes:
        id: what links lead to.
        title: its heading.
        blocks: what it shows, in order.
        missing: why there is nothing to show; None if there is.
        tone: of the whole section, for the list of contents.
    """

    id: str
    title: str
    blocks: tuple[Block, ...] = ()
    missing: str | None = None
    tone: Tone = "plain"


@dataclass(frozen=True)
class Document:
    """A document.

    Attributes:
        title: what it is.
        subtitle: of what, or of when.
        facts: name and value of what identifies it.
        sections: in order.
        closing: the last line.
    """

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    closing: str = ""
    lead: tuple[Block, ...] = field(default=())


def written(value: Any) -> str:
    """A value as people read it.

    Example:
        >>> written(1234567), written(0.123456), written(None), written(True)
        ('1,234,567', '0.1235', '–', 'yes')
    """
    if value is None or (isinstance(value, float) and value != value):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def interval(figure: Sequence[float | None] | None, digits: int = 3, sign: str = "") -> str:
    """Value and interval, as in ``0.871 (0.860 to 0.885)``.

    Example:
        >>> interval([0.8714, 0.86, 0.885]), interval([0.5, None, None]), interval(None)
        ('0.871 (0.860 to 0.885)', '0.500', '–')
    """
    if not figure or figure[0] is None:
        return NOTHING
    value, low, high = figure
    text = f"{value:{sign}.{digits}f}"
    return (
        text if low is None or high is None else f"{text} ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})"
    )
