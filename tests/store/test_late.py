"""The late ledger's file: what went in comes out, all or none, from where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.errors import StoreError
from headwater.store.decisions import DecisionStore
from headwater.store.late import LateEvent, LateLedger, Reached, Touched
from tests.letters import says

TOUCHED = Touched(4, (0.1, "calm"), (1 / 3, "watch"), ("n_7d", "spent_7d"))
EVENT = LateEvent(7, "payments", 90, 50, 20, "risk", {"who": 1, "shop": "ä"}, ("n_7d",), (TOUCHED,))


def test_a_row_comes_back(tmp_path: Path) -> None:
    with LateLedger.open(tmp_path / "late.db") as ledger:
        assert ledger.write(Reached(0, 0), Reached(8, 4), [EVENT])
    with LateLedger.open(tmp_path / "late.db") as ledger:
        assert (ledger.reached(), ledger.page(), len(ledger)) == (Reached(8, 4), [(1, EVENT)], 1)
        assert ledger.page(key={"shop": "ä"}, changed=True) == [(1, EVENT)]
        gone = Touched(5, (0.2, "calm"), None, ("n_7d",))
        assert ledger.write(Reached(8, 4), Reached(8, 5), more=[(1, gone), (1, gone), (1, TOUCHED)])
        assert ledger.page()[0][1].decisions == (TOUCHED, gone)


def test_whoever_stands_elsewhere_writes_nothing(tmp_path: Path) -> None:
    with LateLedger.open(tmp_path / "late.db") as ledger:
        assert not ledger.write(Reached(1, 0), Reached(8, 0), [EVENT])
        assert (ledger.reached(), len(ledger)) == (Reached(0, 0), 0)


def test_all_or_none(tmp_path: Path) -> None:
    with LateLedger.open(tmp_path / "late.db") as ledger:
        with pytest.raises(StoreError, match="UNIQUE"):
            ledger.write(Reached(0, 0), Reached(8, 0), [EVENT, EVENT])
        assert (ledger.reached(), ledger.page()) == (Reached(0, 0), [])


def test_what_a_decision_did_not_see(tmp_path: Path) -> None:
    with LateLedger.open(tmp_path / "late.db") as ledger:
        ledger.write(Reached(0, 0), Reached(8, 0), [EVENT])

        def missed(offset: int = 3, time: int = 60, before: int = 8, who: int = 1) -> int:
            return len(ledger.missed_by("risk", {"who": who}, offset=offset, time=time, before=before))

        assert missed() == 1
        assert missed(time=50) == 1, "an event at the decision's very time is seen"
        assert [missed(offset=7), missed(time=49), missed(before=7), missed(who=2)] == [0, 0, 0, 0]


def test_another_file(tmp_path: Path) -> None:
    path = tmp_path / "late.db"
    DecisionStore.open(path).close()
    with says(
        StoreError,
        f"""
        the file holds no rows of the late ledger
          expected: a file that Headwater made
          got:      another SQLite database
          where:    {path}
          do:       name another file
        """,
    ):
        LateLedger.open(path)
