"""Tables on a PDF page: columns as wide as what they hold, heads again on each page. Called by ``sheet``."""

from __future__ import annotations

from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace

from headwater.paper.chart import COLOURS
from headwater.paper.document import Table
from headwater.paper.leaf import INKS, SMALL, Leaf

_GAP = 3.0  # millimetres between columns
_LONGEST_WORD = 34.0  # millimetres that a word may claim; a longer one is broken
_MOST = 1_500  # characters of a cell that are measured
_LINES = 26.0  # full lines of a cell: with what breaking at words leaves free, they fit on a page


def set_table(leaf: Leaf, table: Table) -> None:
    """A table under its caption."""
    leaf.room(22)
    leaf.write_in(SMALL, "dim")
    leaf.paragraph(table.caption)
    leaf.ln(0.8)
    leaf.write_in(SMALL)
    leaf.set_draw_color(COLOURS["grid"])
    leaf.set_fill_color(COLOURS["paper"])  # cells take the colour that was used last
    leaf.set_line_width(0.2)
    aligned = tuple("RIGHT" if i in table.numbers else "LEFT" for i in range(len(table.columns)))
    across = widths(leaf, table)
    with leaf.table(
        col_widths=across,
        text_align=aligned,
        line_height=leaf.font_size * 1.45,
        padding=(0.9, _GAP, 0.9, 0),
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis="BOLD", color=COLOURS["ink"]),
        v_align="TOP",
    ) as made:
        made.row([_cut(leaf, column, wide) for column, wide in zip(table.columns, across, strict=True)])
        for row in table.rows:
            line = made.row()
            for cell, wide in zip(row, across, strict=True):
                loud = "BOLD" if cell.tone in ("good", "watch", "alarm") else ""
                line.cell(
                    _cut(leaf, cell.text, wide),
                    style=FontFace(emphasis=loud, color=COLOURS[INKS[cell.tone]]),
                )
    leaf.ln(3)


def widths(leaf: Leaf, table: Table) -> tuple[float, ...]:
    """Of each column: what its longest word needs, and of the rest what its longest text asks for."""
    broken, least, wish = [], [], []
    for place, column in enumerate(table.columns):
        texts = [leaf.plain(row[place].text, _MOST) for row in table.rows]
        words = [word for text in (*texts, leaf.plain(column, _MOST)) for word in text.split()]
        leaf.set_font(style="B")  # the wider one
        head = leaf.get_string_width(leaf.plain(column, _MOST))
        floor = max((leaf.get_string_width(word) for word in words), default=0.0)
        full = max((leaf.get_string_width(text) for text in texts), default=0.0)
        leaf.set_font(style="")
        alone = place == 0 or place in table.numbers  # is kept on one line where that is cheap
        broken.append(min(floor, _LONGEST_WORD) + _GAP + 0.6)
        floor = max(floor, min(full, _LONGEST_WORD)) if alone else floor
        least.append(min(floor, _LONGEST_WORD) + _GAP + 0.6)
        wish.append(max(head, full) + _GAP + 0.6)
    if sum(least) > leaf.epw:  # better a line more than a word in two
        least, wish = broken, least
    return _shared(least, wish, leaf.epw)


def _cut(leaf: Leaf, text: str, across: float) -> str:
    """A text that is not higher than a page in a column; fpdf2 refuses a row that is."""
    line = leaf.plain(text, _MOST)
    most, wide = _LINES * (across - _GAP), leaf.get_string_width(line)
    return line if wide <= most else line[: max(int(len(line) * most / wide) - 1, 1)] + "…"


def _shared(least: list[float], wish: list[float], room: float) -> tuple[float, ...]:
    if sum(wish) <= room:
        spare = (room - sum(wish)) / len(wish)
        return tuple(one + spare for one in wish)
    if sum(least) >= room:
        return tuple(one * room / sum(least) for one in least)
    more = [max(full - floor, 0.0) for full, floor in zip(wish, least, strict=True)]
    share = (room - sum(least)) / max(sum(more), 1e-9)
    return tuple(floor + share * one for floor, one in zip(least, more, strict=True))
