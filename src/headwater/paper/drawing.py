"""Pictures on a PDF page, as vectors and real text: each element that ``chart`` draws, drawn again.

::

    <rect .../> <line .../> <path d="M..L..Z"/> <circle .../> <text ...>   ->   the same on paper, scaled

Knows the elements that ``chart.Canvas`` makes, and no other; one that it does not know is an error, so that a
picture cannot lose a part. Called by ``sheet``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser

from headwater.paper.document import Picture
from headwater.paper.leaf import FONT, Leaf

_POINT = 72 / 25.4  # points in a millimetre
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")
Facts = Mapping[str, str]


def size_of(picture: Picture) -> tuple[float, float]:
    """Width and height in the units of the picture."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', picture.svg)
    if found is None:
        raise ValueError("a picture without its size")  # made by ``chart``: cannot come from outside
    return float(found[1]), float(found[2])


def draw(leaf: Leaf, picture: Picture, left: float, top: float, scale: float) -> None:
    """A picture whose corner lies at a place; ``scale`` is millimetres for a unit."""
    with leaf.local_context():
        _Drawer(leaf, left, top, scale).feed(picture.svg)


class _Drawer(HTMLParser):
    """Draws element by element, as they are read."""

    def __init__(self, leaf: Leaf, left: float, top: float, scale: float) -> None:
        super().__init__()
        self._leaf, self._left, self._top, self._scale = leaf, left, top, scale
        self._text: Facts | None = None
        self._words: list[str] = []
        self._draw: Mapping[str, Callable[[Facts], None]] = {
            "rect": self._rect,
            "line": self._line,
            "path": self._path,
            "circle": self._circle,
            "svg": lambda _: None,
            "title": lambda _: None,
        }

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = {name: value or "" for name, value in attrs}
        if tag == "text":
            self._text, self._words = facts, []
        else:
            self._draw[tag](facts)

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "text" and self._text is not None:
            self._write(self._text, "".join(self._words))
            self._text = None

    def _x(self, units: str) -> float:
        return self._left + float(units) * self._scale

    def _y(self, units: str) -> float:
        return self._top + float(units) * self._scale

    def _rect(self, facts: Facts) -> None:
        self._leaf.set_fill_color(facts["fill"])
        wide, high = float(facts["width"]) * self._scale, float(facts["height"]) * self._scale
        self._leaf.rect(self._x(facts["x"]), self._y(facts["y"]), wide, high, style="F")

    def _circle(self, facts: Facts) -> None:
        self._leaf.set_fill_color(facts["fill"])
        self._leaf.circle(
            self._x(facts["cx"]), self._y(facts["cy"]), float(facts["r"]) * self._scale, style="F"
        )

    def _line(self, facts: Facts) -> None:
        self._pen(facts)
        self._leaf.line(
            self._x(facts["x1"]), self._y(facts["y1"]), self._x(facts["x2"]), self._y(facts["y2"])
        )

    def _path(self, facts: Facts) -> None:
        way = _NUMBERS.findall(facts["d"])
        points = [(self._x(x), self._y(y)) for x, y in zip(way[::2], way[1::2], strict=True)]
        if facts["fill"] == "none":
            self._pen(facts)
            self._leaf.polyline(points)
            return
        with self._leaf.local_context(fill_opacity=float(facts["fill-opacity"])):
            self._leaf.set_fill_color(facts["fill"])
            self._leaf.polygon(points, style="F")

    def _pen(self, facts: Facts) -> None:
        self._leaf.set_draw_color(facts["stroke"])
        self._leaf.set_line_width(float(facts["stroke-width"]) * self._scale)
        dash = [float(one) * self._scale for one in facts.get("stroke-dasharray", "0 0").split()]
        self._leaf.set_dash_pattern(*dash)

    def _write(self, facts: Facts, words: str) -> None:
        leaf = self._leaf
        text = leaf.plain(words)
        leaf.set_font(FONT, "", float(facts["font-size"]) * self._scale * _POINT)
        leaf.set_text_color(facts["fill"])
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[facts["text-anchor"]]
        leaf.text(self._x(facts["x"]) - share * leaf.get_string_width(text), self._y(facts["y"]), text)
