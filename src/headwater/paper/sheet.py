"""A document set on PDF pages: words, tiles, tables and pictures, section by section, with bookmarks.

Imports fpdf2, so it is imported by ``pdf`` alone, when the first PDF is asked for. Read ``leaf`` for the
paper, ``grid`` for tables and ``drawing`` for pictures.
"""

from __future__ import annotations

from itertools import zip_longest

from headwater.paper.chart import COLOURS
from headwater.paper.document import Block, Document, Picture, Section, Table, Tile, Tiles, Words
from headwater.paper.drawing import draw, size_of
from headwater.paper.grid import set_table
from headwater.paper.leaf import BODY, RULES, SMALL, Leaf

_TILE, _BETWEEN, _MOST_IN_A_ROW = 19.0, 3.0, 4
_UNITS = 860.0  # of a picture that is as wide as the page


def bound(document: Document, made: int, *, compress: bool = True) -> bytes:
    """The file of a document: ``pdf.pdf`` says the rest."""
    leaf = Leaf(f"{document.title}, {document.subtitle}", made)
    leaf.set_compression(compress)
    leaf.set_title(leaf.plain(f"{document.title}: {document.subtitle}", 300))
    leaf.add_page()
    _head(leaf, document)
    for section in document.sections:
        _section(leaf, section)
    leaf.ln(2)
    leaf.write_in(SMALL, "dim")
    leaf.paragraph(document.closing)
    return bytes(leaf.output())


def _head(leaf: Leaf, document: Document) -> None:
    leaf.write_in(18, bold=True)
    leaf.paragraph(document.title)
    leaf.write_in(11, "dim")
    leaf.paragraph(document.subtitle)
    leaf.ln(2)
    for name, value in document.facts:
        leaf.write_in(SMALL)
        leaf.paragraph(f"{name}: {value}")
    leaf.ln(1)
    for block in document.lead:
        _block(leaf, block)


def _section(leaf: Leaf, section: Section) -> None:
    leaf.room(_opening(leaf, section))
    leaf.ln(3)
    leaf.set_draw_color(COLOURS["grid"])
    leaf.set_line_width(0.2)
    leaf.line(leaf.l_margin, leaf.get_y(), leaf.l_margin + leaf.epw, leaf.get_y())
    leaf.ln(3)
    leaf.start_section(leaf.plain(section.title, 200))
    leaf.write_in(12.5, bold=True)
    leaf.paragraph(section.title)
    leaf.ln(1)
    for block, following in zip_longest(section.blocks, section.blocks[1:]):
        if isinstance(block, Words) and block.tone != "quiet" and isinstance(following, Picture):
            leaf.room(min(18 + _high(leaf, following), leaf.eph))  # a verdict is not parted from its picture
        _block(leaf, block)
    if section.missing:
        leaf.write_in(BODY, "dim")
        leaf.paragraph(section.missing)


def _opening(leaf: Leaf, section: Section) -> float:
    """What the heading takes with its first words and its first figure, which are not to be parted."""
    height = 16.0
    for block in section.blocks:
        if not isinstance(block, Words):
            height += _high(leaf, block) if isinstance(block, Picture) else _TILE + 6
            break
        height += 9.0
    return min(height + 8, leaf.eph)


def _block(leaf: Leaf, block: Block) -> None:
    if isinstance(block, Words):
        _words(leaf, block)
    elif isinstance(block, Tiles):
        _tiles(leaf, block)
    elif isinstance(block, Table):
        set_table(leaf, block)
    else:
        _picture(leaf, block)


def _words(leaf: Leaf, words: Words) -> None:
    leaf.write_in(BODY, "dim" if words.tone == "quiet" else "ink")
    toned = words.tone in ("good", "watch", "alarm")
    leaf.room(10)
    top, page, indent = leaf.get_y(), leaf.page_no(), 3.0 if toned else 0.0
    leaf.paragraph(words.text, width=leaf.epw - indent, left=leaf.l_margin + indent)
    if toned and leaf.page_no() == page:
        leaf.set_fill_color(COLOURS[RULES[words.tone]])
        leaf.rect(leaf.l_margin, top, 0.8, leaf.get_y() - top, style="F")
    leaf.ln(1.6)


def _tiles(leaf: Leaf, tiles: Tiles) -> None:
    for start in range(0, len(tiles.tiles), _MOST_IN_A_ROW):
        row = tiles.tiles[start : start + _MOST_IN_A_ROW]
        leaf.room(_TILE + 3)
        top = leaf.get_y() + 1
        wide = (leaf.epw - _BETWEEN * (len(row) - 1)) / len(row)
        for place, tile in enumerate(row):
            _tile(leaf, tile, leaf.l_margin + (wide + _BETWEEN) * place, top, wide)
        leaf.set_xy(leaf.l_margin, top + _TILE + 3)


def _tile(leaf: Leaf, tile: Tile, left: float, top: float, wide: float) -> None:
    leaf.set_draw_color(COLOURS["grid"])
    leaf.set_line_width(0.2)
    leaf.rect(left, top, wide, _TILE)
    leaf.set_fill_color(COLOURS[RULES[tile.tone]])
    leaf.rect(left, top, wide, 0.8, style="F")
    lines = ((tile.name, SMALL, "dim", False, 4.6), (tile.value, 13.0, "ink", True, 10.6))
    for text, size, colour, bold, below in lines:
        leaf.write_in(size, colour, bold=bold)
        _fitted(leaf, text, left + 2.5, top + below, wide - 5)
    leaf.write_in(SMALL - 1, "dim")
    beside = leaf.lines(tile.beside, wide - 5)
    for place, line in enumerate(beside[:2]):
        cut = "…" if place == 1 and len(beside) > 2 else ""
        leaf.text(left + 2.5, top + 14.2 + 3.1 * place, line + cut)


def _fitted(leaf: Leaf, text: str, x: float, y: float, wide: float) -> None:
    """A line that is set smaller until it fits; its end is left out where that would be too small."""
    line = leaf.plain(text, 200)
    while leaf.get_string_width(line) > wide and leaf.font_size_pt > SMALL - 1:
        leaf.set_font_size(leaf.font_size_pt - 0.5)
    while leaf.get_string_width(line) > wide and len(line) > 1:
        line = line[:-2] + "…"
    leaf.text(x, y, line)


def _high(leaf: Leaf, picture: Picture) -> float:
    """How high it is on the page; a very tall one is made to fit on one page."""
    wide, high = size_of(picture)
    return min(high * leaf.epw / max(wide, _UNITS), leaf.eph - 16)


def _picture(leaf: Leaf, picture: Picture) -> None:
    high = _high(leaf, picture)
    leaf.room(high + 10)
    top = leaf.get_y() + 1
    draw(leaf, picture, leaf.l_margin, top, high / size_of(picture)[1])
    leaf.set_xy(leaf.l_margin, top + high + 1)
    leaf.write_in(SMALL, "dim")
    leaf.paragraph(picture.caption)
    leaf.ln(2.5)
