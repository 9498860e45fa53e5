"""Documents are set whole and safely: what users wrote stays text, on a page as in Markdown."""

from __future__ import annotations

import math

from headwater.paper.bars import Span, lying, spans, stacked
from headwater.paper.document import Block, Document, Picture, Section, Table, Tile, Tiles, Words
from headwater.paper.heat import Heat, heat_map
from headwater.paper.html import page
from headwater.paper.lines import Line, Mark, Point, calibration, over_time
from headwater.paper.markdown import markdown
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


def test_a_gap_breaks_the_line() -> None:
    points = (Point(0, 0.5), Point(1, math.nan), Point(2, 0.6), Point(3, 0.7))
    labels = [(float(i), str(i)) for i in range(4)]
    picture = over_time([Line("AUC", "one", points)], labels, alt="a line with a gap in it", caption="")
    assert len([tag for tag, _ in Read(picture.svg).tags if tag == "path"]) == 1  # of the two at the end
    assert len([tag for tag, _ in Read(picture.svg).tags if tag == "circle"]) == 3
