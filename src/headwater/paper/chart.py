"""The ground that pictures are drawn on: SVG elements, colours, scales and axes.

Every element has its colour twice: as a value, for whoever knows no style sheet (a PDF), and as a class, by
which a page sets it anew for the dark. Text is real text. Called by ``lines``, ``bars`` and ``heat``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType

WIDTH = 860.0
COLOURS = MappingProxyType(
    {
        "ink": "#1d2733",
        "dim": "#5c6773",
        "grid": "#dfe3e8",
        "paper": "#ffffff",
        "one": "#1f6f8b",
        "two": "#b4552d",
        "three": "#5b5ea6",
        "four": "#7a7f35",
        "five": "#8b3f73",
        "six": "#4d6b57",
        "good": "#3c8259",
        "fair": "#8aa05a",
        "watch": "#d09a2a",
        "rough": "#c8743a",
        "alarm": "#b23a3a",
        "heat0": "#eef2f4",
        "heat1": "#cfe0e6",
        "heat2": "#f0dca6",
        "heat3": "#e3a95f",
        "heat4": "#cf6a45",
        "heat5": "#a83232",
    }
)
SERIES = ("one", "two", "three", "four", "five", "six")
LADDER = ("good", "fair", "watch", "rough", "alarm")


def rung(place: int, count: int) -> str:
    """The colour of one of ``count`` steps from good to bad.

    Example:
        >>> [rung(i, 3) for i in range(3)]
        ['good', 'watch', 'alarm']
    """
    return LADDER[0 if count < 2 else round(place * (len(LADDER) - 1) / (count - 1))]


@dataclass
class Canvas:
    """Elements on a ground of so many units; what comes later lies above."""

    height: float
    width: float = WIDTH
    parts: list[str] = field(default_factory=list)

    def rect(self, x: float, y: float, w: float, h: float, colour: str, tip: str = "") -> None:
        """A filled box, with a text for whoever points at it."""
        told = f"<title>{escape(tip)}</title>" if tip else ""
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}"'
        self.parts.append(f"<rect {place} {_fill(colour)}>{told}</rect>")

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1, dash: str = ""
    ) -> None:
        """A straight line."""
        place = f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
        self.parts.append(f"<line {place} {_stroke(colour, width, dash)}/>")

    def path(
        self, points: Sequence[tuple[float, float]], colour: str, *, width: float = 2, dash: str = ""
    ) -> None:
        """A line through points."""
        way = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self.parts.append(f'<path d="{way}" fill="none" {_stroke(colour, width, dash)}/>')

    def area(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        """A pale area inside points."""
        way = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points) + "Z"
        self.parts.append(f'<path d="{way}" {_fill(colour)} fill-opacity="0.16"/>')

    def dot(self, x: float, y: float, colour: str, radius: float = 3.2, tip: str = "") -> None:
        """A dot."""
        told = f"<title>{escape(tip)}</title>" if tip else ""
        self.parts.append(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" {_fill(colour)}>{told}</circle>'
        )

    def text(
        self, x: float, y: float, text: str, *, colour: str = "ink", at: str = "start", size: float = 12
    ) -> None:
        """A text whose start, middle or end stands at a place."""
        place = f'x="{_n(x)}" y="{_n(y)}" text-anchor="{at}" font-size="{_n(size)}"'
        self.parts.append(f"<text {place} {_fill(colour)}>{escape(text)}</text>")

    def legend(self, x: float, y: float, names: Sequence[tuple[str, str, str]]) -> None:
        """Names beside their marks: name, colour, and ``box``, ``line`` or ``dash``."""
        for name, colour, mark in names:
            if mark == "box":
                self.rect(x, y - 9, 11, 11, colour)
            else:
                self.line(x, y - 3.5, x + 16, y - 3.5, colour, width=2, dash="4 3" if mark == "dash" else "")
            start = x + (17 if mark == "box" else 22)
            self.text(start, y, name, colour="dim")
            x = start + 7 * len(name) + 18

    def svg(self, alt: str) -> str:
        """The picture."""
        box = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        size = f'width="{_n(self.width)}" height="{_n(self.height)}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} {size} role="img" aria-label="{escape(alt)}"'
        return f'{head} font-family="inherit">{"".join(self.parts)}</svg>'


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places on the ground."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values from at or below ``low`` to at or above ``high``.

    Example:
        >>> ticks(0, 0.93)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if not math.isfinite(span) or span <= 0:
        low, high, span = low - 0.5, low + 0.5, 1.0
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * place, 12) for place in range(first, last + 1)]


def short(value: float) -> str:
    """A value of an axis.

    Example:
        >>> short(0.25), short(1500.0), short(2000000.0), short(3.0)
        ('0.25', '1,500', '2M', '3')
    """
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:g}"


def upright(canvas: Canvas, marks: Sequence[float], y: Scale, left: float, right: float) -> None:
    """The upright axis: a pale line and a value for each mark."""
    for mark in marks:
        place = y(mark)
        canvas.line(left, place, right, place, "grid")
        canvas.text(left - 8, place + 4, short(mark), colour="dim", at="end", size=11)


def thinned(count: int, most: int) -> list[int]:
    """Places of at most about ``most`` labels of ``count``, evenly.

    Example:
        >>> thinned(10, 4)
        [0, 3, 6, 9]
    """
    step = max(1, math.ceil(count / most))
    return list(range(0, count, step))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _fill(colour: str) -> str:
    return f'class="f-{colour}" fill="{COLOURS[colour]}"'


def _stroke(colour: str, width: float, dash: str) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'class="s-{colour}" stroke="{COLOURS[colour]}" stroke-width="{_n(width)}"{dashed}'
