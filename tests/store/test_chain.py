"""A chain of links: any change is found, and where it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import StoreError
from headwater.store.chain import GENESIS, follow, link
from tests.letters import says

FILE = Path("some.db")
Row = tuple[int, bytes | None, bytes | None]


def chained(*texts: bytes) -> list[Row]:
    """Rows as they are written."""
    rows: list[Row] = []
    chain = GENESIS
    for number, text in enumerate(texts, 1):
        chain = link(chain, text)
        rows.append((number, text, chain))
    return rows


def test_a_whole_chain() -> None:
    rows = chained(b"a", b"b", b"c")
    walk = follow(rows, FILE, "row")
    assert (walk.count, walk.head, walk.found) == (3, rows[-1][2], frozenset())
    assert follow([], FILE, "row").head == GENESIS


def test_a_noted_link_is_met_or_not() -> None:
    rows = chained(b"a", b"b", b"c")
    marks = {rows[0][2] or b"", rows[2][2] or b"", bytes(31) + b"x"}
    assert follow(rows, FILE, "row", marks).found == {rows[0][2], rows[2][2]}
    assert follow(rows[:2], FILE, "row", marks).found == {rows[0][2]}  # the end was cut off


@given(st.data())
def test_one_byte_anywhere_is_found_where_it_is(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=6))
    rows = chained(*texts)
    at = data.draw(st.integers(0, len(rows) - 1))
    number, text, chain = rows[at]
    assert text is not None
    assert chain is not None
    place = data.draw(st.integers(0, len(text) + len(chain) - 1))
    both = bytearray(text + chain)
    both[place] ^= 1 << data.draw(st.integers(0, 7))
    rows[at] = (number, bytes(both[: len(text)]), bytes(both[len(text) :]))
    with pytest.raises(StoreError, match=f"number {number}\n"):
        follow(rows, FILE, "row")


def test_a_gap() -> None:
    rows = chained(b"a", b"b", b"c")
    with says(
        StoreError,
        """
        an audit entry is missing
          expected: number 2
          got:      number 3
          where:    some.db
          do:       restore the records from a copy; nobody may change it
        """,
    ):
        follow([rows[0], rows[2]], FILE, "audit entry")


def test_a_row_before_the_first() -> None:
    with says(
        StoreError,
        """
        a row was slipped in
          expected: number 1
          got:      number 0
          where:    some.db
          do:       restore the records from a copy; nobody may change it
        """,
    ):
        follow([(0, b"x", GENESIS), *chained(b"a")], FILE, "row")


def test_no_text_and_no_link() -> None:
    for row in ((1, None, link(GENESIS, b"")), (1, b"a", None)):
        with pytest.raises(StoreError, match="a row is not the one that was written"):
            follow([row], FILE, "row")


# Recorded once, never edited: yesterday's chains must hold on today's code.
def test_a_recorded_link() -> None:
    assert link(GENESIS, "{}").hex() == RECORDED


RECORDED = "fb1634c4e6cd4b1f1afe3ce2d6ef080f7ac5d1f357d723ad4dfca782733b62db"
