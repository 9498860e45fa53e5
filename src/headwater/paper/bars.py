"""Bars: counts stacked by day, sizes side by side, and values with their intervals. Called by writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headwater.paper.chart import Canvas, Scale, short, thinned, ticks, upright
from headwater.paper.document import Picture

_LEFT, _RIGHT, _NAMES = 62.0, 848.0, 260.0


def stacked(
    days: Sequence[str],
    series: Mapping[str, tuple[str, Sequence[float]]],
    *,
    alt: str,
    caption: str,
) -> Picture:
    """Counts by day, one above the other.

    Args:
        days: n labels.
        series: name to colour and n counts, the lowest first.
        alt: what it shows.
        caption: below it.
    """
    height = 260.0
    canvas = Canvas(height)
    top = max((sum(one[1][i] for one in series.values()) for i in range(len(days))), default=0)
    marks = ticks(0, max(top, 1), 4)
    y = Scale(0, marks[-1], height - 34, 34)
    upright(canvas, marks, y, _LEFT, _RIGHT)
    canvas.legend(_LEFT, 16, [(name, colour, "box") for name, (colour, _) in series.items()])
    slot = (_RIGHT - _LEFT) / max(len(days), 1)
    wide = min(slot * 0.82, 40)
    for place, day in enumerate(days):
        below = 0.0
        left = _LEFT + slot * (place + 0.5) - wide / 2
        for name, (colour, counts) in series.items():
            if counts[place]:
                upper = y(below + counts[place])
                tip = f"{day}, {name}: {counts[place]:,.0f}"
                canvas.rect(left, upper, wide, y(below) - upper, colour, tip)
                below += counts[place]
    for place in thinned(len(days), 12):
        canvas.text(
            _LEFT + slot * (place + 0.5), height - 14, days[place], colour="dim", at="middle", size=11
        )
    return Picture(canvas.svg(alt), alt, caption)


def lying(
    names: Sequence[str], sizes: Sequence[float], *, alt: str, caption: str, colour: str = "one"
) -> Picture:
    """One bar a name, lying, with its value beside it."""
    step = 21.0
    canvas = Canvas(step * len(names) + 12)
    x = Scale(0, max([*sizes, 1e-12]), _NAMES, _RIGHT - 70)
    for place, (name, size) in enumerate(zip(names, sizes, strict=True)):
        y = 8 + step * place
        canvas.text(_NAMES - 10, y + 12, clipped(name), at="end")
        canvas.rect(_NAMES, y + 2, max(x(size) - _NAMES, 0.5), step - 7, colour, f"{name}: {size:.4g}")
        canvas.text(x(size) + 7, y + 12, f"{size:.3g}", colour="dim", size=11)
    return Picture(canvas.svg(alt), alt, caption)


@dataclass(frozen=True, slots=True)
class Span:
    """A value with its interval; None where it cannot be given."""

    name: str
    value: float
    low: float | None
    high: float | None
    colour: str = "one"


def spans(
    rows: Sequence[Span],
    *,
    alt: str,
    caption: str,
    lines: Sequence[tuple[float, str]] = (),
    unit: Callable[[float], str] = short,
) -> Picture:
    """Values with their intervals, one below the other, beside upright lines that mean something.

    Args:
        rows: from the top.
        alt: what it shows.
        caption: below it.
        lines: value and name.
        unit: a value in words.
    """
    step = 25.0
    foot = 26 + step * len(rows)
    canvas = Canvas(foot + 30)
    known = [v for row in rows for v in (row.value, row.low, row.high) if v is not None]
    known += [value for value, _ in lines]
    marks = ticks(min(known), max(known))
    x = Scale(marks[0], marks[-1], _NAMES, _RIGHT - 12)
    for mark in marks:
        canvas.line(x(mark), 20, x(mark), foot, "grid")
        canvas.text(x(mark), foot + 16, unit(mark), colour="dim", at="middle", size=11)
    for value, name in lines:
        canvas.line(x(value), 18, x(value), foot, "dim", dash="4 3")
        canvas.text(x(value), 12, name, colour="dim", at="middle", size=11)
    for place, row in enumerate(rows):
        y = 26 + step * (place + 0.5)
        canvas.text(_NAMES - 14, y + 4, clipped(row.name), at="end")
        if row.low is not None and row.high is not None:
            canvas.line(x(row.low), y, x(row.high), y, row.colour, width=3)
        canvas.dot(x(row.value), y, row.colour, 4.5, f"{row.name}: {unit(row.value)}")
    return Picture(canvas.svg(alt), alt, caption)


def clipped(name: str, most: int = 33) -> str:
    """A name that fits beside a bar."""
    return name if len(name) <= most else name[: most - 1] + "…"
