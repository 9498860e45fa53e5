"""Lines over time with intervals, expectations and marks; and the curve of calibration. Called by writers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.paper.chart import Canvas, Scale, short, thinned, ticks, upright
from headwater.paper.document import Picture

_LEFT, _RIGHT = 62.0, 848.0


@dataclass(frozen=True, slots=True)
class Point:
    """One value at a place; its interval, if it has one. NaN breaks the line."""

    x: float
    y: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its name, its colour, its points by rising place, and whether it is only expected."""

    name: str
    colour: str
    points: tuple[Point, ...]
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a place."""

    x: float
    text: str
    colour: str = "dim"


def over_time(
    lines: Sequence[Line],
    labels: Sequence[tuple[float, str]],
    *,
    alt: str,
    caption: str,
    marks: Sequence[Mark] = (),
    height: float = 220,
) -> Picture:
    """Lines over time.

    Args:
        lines: at least one point in all.
        labels: place and text below the axis.
        alt: what it shows.
        caption: below it.
        marks: upright lines with a text above.
        height: of the picture.
    """
    rows = _rows(marks, labels)
    head = 34.0 + 14 * (max(rows, default=-1) + 1)
    canvas = Canvas(height + head)
    foot = canvas.height - 30
    known = [v for line in lines for p in line.points for v in (p.y, p.low, p.high) if not math.isnan(v)]
    steps = ticks(min(known), max(known), 4)
    places = [x for x, _ in labels] + [mark.x for mark in marks]
    x = Scale(min(places), max(places), _LEFT + 16, _RIGHT - 16)
    y = Scale(steps[0], steps[-1], foot, head)
    upright(canvas, steps, y, _LEFT, _RIGHT)
    canvas.legend(_LEFT, 16, [(one.name, one.colour, "dash" if one.expected else "line") for one in lines])
    for mark, row in zip(marks, rows, strict=True):
        level = 40.0 + 14 * row
        canvas.line(x(mark.x), level - 8, x(mark.x), foot, mark.colour, dash="2 3")
        beside, side = (-5, "end") if _turned(mark, x) else (5, "start")
        canvas.text(x(mark.x) + beside, level, mark.text, colour=mark.colour, at=side, size=11)
    for line in lines:
        _draw(canvas, line, x, y)
    for place in thinned(len(labels), 12):
        at, text = labels[place]
        canvas.text(x(at), foot + 18, text, colour="dim", at="middle", size=11)
    return Picture(canvas.svg(alt), alt, caption)


def calibration(points: Sequence[Point], *, alt: str, caption: str) -> Picture:
    """Observed against foretold, beside the line on which both are the same."""
    canvas = Canvas(330, 420)
    known = [v for p in points for v in (p.x, p.y, p.low, p.high) if not math.isnan(v)]
    steps = ticks(0, max([*known, 0.01]), 5)
    x, y = Scale(0, steps[-1], 62, 404), Scale(0, steps[-1], 284, 14)
    upright(canvas, steps, y, 62, 404)
    for step in steps:
        canvas.text(x(step), 302, short(step), colour="dim", at="middle", size=11)
    canvas.text(233, 322, "foretold", colour="dim", at="middle", size=11)
    canvas.line(x(0), y(0), x(steps[-1]), y(steps[-1]), "dim", dash="4 3")
    for p in points:
        if not math.isnan(p.low):
            canvas.line(x(p.x), y(p.low), x(p.x), y(p.high), "one", width=2)
    canvas.path([(x(p.x), y(p.y)) for p in points], "one", width=1)
    for p in points:
        canvas.dot(x(p.x), y(p.y), "one", 4, f"foretold {p.x:.3g}, observed {p.y:.3g}")
    return Picture(canvas.svg(alt), alt, caption)


def _draw(canvas: Canvas, line: Line, x: Scale, y: Scale) -> None:
    for run in _runs(line.points):
        bounded = [p for p in run if not math.isnan(p.low)]
        if len(bounded) > 1:
            upper = [(x(p.x), y(p.high)) for p in bounded]
            lower = [(x(p.x), y(p.low)) for p in reversed(bounded)]
            canvas.area(upper + lower, line.colour)
        if len(run) > 1:
            canvas.path([(x(p.x), y(p.y)) for p in run], line.colour, dash="5 4" if line.expected else "")
        for p in [] if line.expected and len(run) > 1 else run:
            canvas.dot(x(p.x), y(p.y), line.colour, tip=f"{line.name}: {p.y:.4g}")


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Points without their gaps."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if math.isnan(point.y):
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _rows(marks: Sequence[Mark], labels: Sequence[tuple[float, str]]) -> list[int]:
    """In which row the text of each mark stands, so that no two lie on each other."""
    if not marks:
        return []
    places = [x for x, _ in labels] + [mark.x for mark in marks]
    x = Scale(min(places), max(places), _LEFT + 16, _RIGHT - 16)
    ends: list[float] = []
    rows = []
    for mark in marks:
        start = x(mark.x) - (_long(mark) if _turned(mark, x) else 0)
        row = next((i for i, end in enumerate(ends) if end < start), len(ends))
        end = start + _long(mark)
        ends[row : row + 1] = [end]
        rows.append(row)
    return rows


def _long(mark: Mark) -> float:
    return 6.4 * len(mark.text) + 14


def _turned(mark: Mark, x: Scale) -> bool:
    """Whether its text stands before it, since there is no place behind it."""
    return x(mark.x) + _long(mark) > _RIGHT + 14
