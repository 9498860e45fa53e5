"""The paper that a PDF is set on: A4, its letters, its colours, and its foot. Imports fpdf2.

Letters are DejaVu Sans, which matplotlib brings along; a character that it lacks is set as a replacement
character, so that nothing is left out in silence. Called by ``sheet``, ``grid`` and ``drawing``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from importlib import util
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from headwater.core.instant import SECOND
from headwater.paper.chart import COLOURS
from headwater.paper.document import Tone

FONT = "DejaVu"
BODY, SMALL = 9.0, 7.6  # points
_MARGIN = 16.0
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
# Each tone as a colour for words; the amber of "watch" cannot be read on white.
INKS: dict[Tone, str] = {"plain": "ink", "good": "good", "watch": "rough", "alarm": "alarm", "quiet": "dim"}
RULES: dict[Tone, str] = {
    "plain": "grid",
    "good": "good",
    "watch": "watch",
    "alarm": "alarm",
    "quiet": "grid",
}


class Leaf(FPDF):
    """An A4 file with page numbers; measures are millimetres.

    Args:
        foot: stands below each page.
        made: the time that the file bears, microseconds UTC.
    """

    def __init__(self, foot: str, made: int) -> None:
        super().__init__(format="A4", unit="mm")
        self._foot = foot
        fonts = _fonts()
        self.add_font(FONT, fname=fonts / "DejaVuSans.ttf")
        self.add_font(FONT, style="B", fname=fonts / "DejaVuSans-Bold.ttf")
        self.set_margin(_MARGIN)
        self.c_margin = 0.0
        self.set_auto_page_break(auto=True, margin=18)
        self.set_lang("en")
        self.set_producer("Headwater")
        self.set_creation_date(datetime.fromtimestamp(made // SECOND, UTC))
        self.write_in(BODY)

    def footer(self) -> None:
        """The foot and the number of the page."""
        self.set_y(-12)
        self.write_in(SMALL, "dim")
        self.cell(self.epw - 20, 5, self.plain(self._foot, 120))
        self.cell(20, 5, str(self.page_no()), align="R")

    def write_in(self, size: float, colour: str = "ink", *, bold: bool = False) -> None:
        """What follows is written so."""
        self.set_font(FONT, "B" if bold else "", size)
        self.set_text_color(COLOURS[colour])

    def paragraph(self, text: str, *, width: float = 0, left: float | None = None) -> None:
        """Words from the left edge, and the next place below them."""
        if left is not None:
            self.set_x(left)
        across, high = width or self.epw, self.font_size * 1.4
        self.multi_cell(across, high, self.plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def lines(self, text: str, across: float) -> list[str]:
        """A text as it breaks into lines of a width; nothing is set."""
        found = self.multi_cell(across, text=self.plain(text), align="L", dry_run=True, output="LINES")
        return [str(line) for line in found] if isinstance(found, list) else []

    def plain(self, text: str, most: int = 4_000) -> str:
        """Text on one line, of characters that can be set, and not longer than a page holds."""
        line = " ".join(text.split())
        line = line if len(line) <= most else line[: most - 1] + "…"
        return "".join(c if ord(c) in self._known else _UNKNOWN for c in line)

    def room(self, height: float) -> None:
        """Begin a new page unless so much is free on this one."""
        if self.get_y() + height > self.page_break_trigger:
            self.add_page()

    @cached_property
    def _known(self) -> frozenset[int]:
        return frozenset(self.fonts[FONT.lower()].cmap)  # type: ignore[union-attr]


def _fonts() -> Path:
    found = util.find_spec("matplotlib")
    home = Path(str(found.origin)).parent if found is not None else Path()
    return home / "mpl-data" / "fonts" / "ttf"
