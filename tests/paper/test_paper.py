"""Documents are set whole and safely: what users wrote stays text, on a page as in Markdown."""

from __future__ import annotations

import math
import subprocess
import sys

from headwater.paper.bars import Span, lying, spans, stacked
from headwater.paper.document import Block, Document, Picture, Section, Table, Tile, Tiles, Words
from headwater.paper.heat import Heat, heat_map
from headwater.paper.html import page
from headwater.paper.lines import Line, Mark, Point, calibration, over_time
from headwater.paper.markdown import markdown
from headwater.paper.pdf import pdf
from tests.paper.pdf_reading import ReadPdf
from tests.paper.reading import Read

EVIL = """<script>alert("1")</script> & 'x'"""


def document() -> Document:
    """One of everything, with a text that means harm wherever a text can be."""
    pictures: list[Picture] = [
        stacked([EVIL, "b"], {EVIL: ("good", [1, 2])}, alt=f"Bars: {EVIL}", caption=EVIL),
        lying([EVIL], [2.0], alt=f"Lying bars: {EVIL}", caption=EVIL),
        spans([Span(EVIL, 0.5, 0.4, 0.6)], lines=[(0.0, EVIL)], alt=f"Intervals: {EVIL}", caption=EVIL),
        over_time(
            [Line(EVIL, "one", (Point(0, 1), Point(1, 2)))],
            [(0, EVIL), (1, "b")],
            marks=[Mark(0.5, EVIL)],
            alt=f"Lines: {EVIL}",
            caption=EVIL,
        ),
        calibration([Point(0.1, 0.2, 0.1, 0.3)], alt=f"Calibration: {EVIL}", caption=EVIL),
        heat_map(
            [EVIL], [EVIL], [[Heat(0.3, 4, alarm=True)]], [EVIL], alt=f"A heat map: {EVIL}", caption=EVIL
        ),
    ]
    table = Table.of(EVIL, (EVIL, "n"), [(EVIL, 1)], (1,))
    blocks: tuple[Block, ...] = (Words(EVIL), Tiles((Tile(EVIL, EVIL, EVIL),)), table, *pictures)
    sections = (Section("one", EVIL, blocks), Section("two", EVIL, missing=EVIL))
    return Document(EVIL, EVIL, ((EVIL, EVIL),), sections, EVIL)


def test_what_users_wrote_stays_text() -> None:
    read = Read(page(document()))
    read.asks_for_nothing()
    read.can_be_used_by_everybody()
    assert read.text.count("<script>") > 10  # as words


def test_markdown_takes_it_as_text() -> None:
    found = markdown(document())
    assert "<script>" not in found.replace("\\<script\\>", "")
    assert "| \\<script\\>alert(\"1\")\\</script\\> & 'x' | 1 |" in found


def test_the_same_document_gives_the_same_page() -> None:
    assert page(document()) == page(document())
    assert markdown(document()) == markdown(document())


def test_no_two_marks_lie_on_each_other() -> None:
    marks = [Mark(5.0, f"v{i} promoted") for i in range(3)]
    line = Line("AUC", "one", (Point(0, 0.5), Point(10, 0.6)))
    picture = over_time([line], [(0, "a"), (10, "b")], marks=marks, alt="three marks at one time", caption="")
    heights = {
        svg_text["y"] for tag, svg_text in Read(picture.svg).tags if tag == "text" and svg_text["y"] in _ROWS
    }
    assert heights == {"40", "54", "68"}


_ROWS = ("40", "54", "68")


def test_a_mark_at_the_edge_is_told_before_it() -> None:
    marks = [Mark(9.0, "v2 promoted"), Mark(10.0, "v3 rolled back to")]
    line = Line("AUC", "one", (Point(0, 0.5), Point(10, 0.6)))
    picture = over_time(
        [line], [(0, "a"), (10, "b")], marks=marks, alt="two marks at the right edge", caption=""
    )
    placed = [text for tag, text in Read(picture.svg).tags if tag == "text" and text["y"] in _ROWS]
    assert [(text["text-anchor"], text["y"]) for text in placed] == [("start", "40"), ("end", "54")]
    assert float(placed[1]["x"] or 0) < 848


def test_a_gap_breaks_the_line() -> None:
    points = (Point(0, 0.5), Point(1, math.nan), Point(2, 0.6), Point(3, 0.7))
    labels = [(float(i), str(i)) for i in range(4)]
    picture = over_time([Line("AUC", "one", points)], labels, alt="a line with a gap in it", caption="")
    assert len([tag for tag, _ in Read(picture.svg).tags if tag == "path"]) == 1  # of the two at the end
    assert len([tag for tag, _ in Read(picture.svg).tags if tag == "circle"]) == 3


def test_a_pdf_says_what_the_page_says() -> None:
    """Every word, but what only a pointer shows, and the contents, which a PDF has as bookmarks."""
    shown = ReadPdf(pdf(document(), 0, compress=False))
    read = Read(page(document()))
    assert shown.text.count(EVIL) >= read.text.count(EVIL) - 4  # title and contents
    for words in ("0.30!", "foretold", "1.75", "0.4"):
        assert words in shown.text
        assert words in read.text


def test_the_same_document_gives_the_same_pdf() -> None:
    assert pdf(document(), 0) == pdf(document(), 0)
    assert pdf(document(), 0) != pdf(document(), 3_600_000_000)
    assert len(pdf(document(), 0)) < len(pdf(document(), 0, compress=False))


def test_a_long_table_goes_on_under_its_heads() -> None:
    rows = [(f"name {i}", i, "words " * 40) for i in range(120)]
    table = Table.of("long", ("name", "n", "told at length"), rows, (1,))
    pages = ReadPdf(pdf(Document("d", "s", sections=(Section("a", "A", (table,)),)), 0, compress=False)).pages
    assert len(pages) > 5
    assert all("told at length" in one for one in pages)
    assert all(f"name {i} " in " ".join(pages) for i in range(120))


def test_what_is_too_long_or_not_in_the_letters_stays_on_the_page() -> None:
    odd = "\x00 \ud800 \U0001f600 漢 Ω я"
    blocks: tuple[Block, ...] = (
        Words(odd),
        Tiles((Tile("x" * 300, "y" * 300, "z " * 300), *[Tile(str(i), str(i)) for i in range(9)])),
        Table.of("wide", [f"column {i}" for i in range(14)], [["w" * 5_000] * 14]),
        lying(["n" * 90] * 90, [1.0] * 90, alt="ninety bars, more than a page holds", caption="tall"),
    )
    shown = ReadPdf(pdf(Document("d", "s", sections=(Section("a", "A", blocks),)), 0, compress=False)).text
    assert "\ufffd \ufffd" in shown
    assert "Ω я" in shown
    assert "tall" in shown


def test_without_fpdf2_the_extra_is_named() -> None:
    """In a process of its own, whose finder does not know fpdf2."""
    code = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "fpdf" else find(name, *rest)
from headwater.core.errors import MissingExtraError
from headwater.paper.document import Document
from headwater.paper.pdf import pdf
try:
    pdf(Document("a", "b"), 0)
except MissingExtraError as error:
    print(error)
assert "headwater.paper.sheet" not in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == (
        "fpdf2 is not installed\n  expected: the package fpdf2\n  do:       pip install 'headwater[report]'\n"
    )
