"""``headwater jobs``: listed, run, shown; and what it says when it cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headwater.store.folder import DataFolder
from headwater.store.holding import holding
from tests.apps.cli.conftest import Headwater, headwater, place
from tests.apps.jobs.test_desk import lender_place

__all__ = ["headwater", "lender_place", "place"]


@pytest.fixture
def lender(lender_place: Path, place: Path) -> Path:
    shutil.copytree(lender_place, place, dirs_exist_ok=True)
    return place


def test_from_the_list_to_a_run_and_back(lender: Path, headwater: Headwater) -> None:
    listed = headwater("jobs", "--json").json
    assert listed["on"] is True
    assert {one["job"]: (one["every"], one["last"]) for one in listed["jobs"]} == {
        "retrain.risk": ("7d", None),
        "drift.risk": ("1d", None),
        "outcomes.risk": ("1d", None),
        "alerts": ("1h", None),
    }
    assert headwater("jobs").out.splitlines()[2].startswith("retrain.risk    7d, or by trigger ")
    ran = headwater("jobs", "run", "alerts", "--at", "2026-04-11T06:00:00Z", "--why", "to see it", "--json")
    assert (ran.code, ran.json["state"], ran.json["why"]) == (0, "done", "to see it")
    assert ran.json["outcome"] == {"events": [], "failed": {}, "told": 0}
    again = headwater("jobs", "run", "alerts", "--at", "2026-04-11T06:00:00Z", "--json").json
    assert again == ran.json
    refused = headwater("jobs", "run", "drift.risk", "--at", "2026-04-11")
    assert refused.code == 4
    assert refused.out.startswith("j2 drift.risk, for 2026-04-11T00:00:00Z: refused\n")
    assert "the model has no champion yet, so there is nothing to watch\n  expected:" in refused.out
    assert headwater("jobs", "show", "j2").out == refused.out
    runs = headwater("jobs", "list", "--runs", "5", "--json").json["runs"]
    assert [one["id"] for one in runs] == ["j2", "j1"]
    assert lender.is_dir()


def test_what_it_says_when_it_cannot_be(lender: Path, headwater: Headwater) -> None:
    headwater("jobs", "run", "dance").fails(
        4,
        """
        there is no such job
          expected: one of retrain.risk, drift.risk, outcomes.risk, alerts
          got:      'dance'
          do:       name one of them; `headwater jobs` lists them
        """,
    )
    headwater("jobs", "show", "j7").fails(
        4,
        """
        there is no such run of a job
          expected: an id such as j12
          got:      'j7'
          do:       look it up: headwater jobs list --runs 20
        """,
    )
    to_come = headwater("jobs", "run", "alerts", "--at", "2100-01-01")
    assert to_come.err.startswith("the moment of a job is still to come\n  expected: at most 20")
    with holding(DataFolder(lender / ".headwater").jobs_lock):
        busy = headwater("jobs", "run", "alerts", "--wait", "1s")
    assert busy.code == 5
    assert busy.err.startswith("another job of this project still runs\n  expected: its end\n")
