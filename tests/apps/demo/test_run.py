"""The demo in small: every figure measured, every promise kept, and no folder of anyone's touched."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from headwater.apps.demo.compare import last_night
from headwater.apps.demo.page import show
from headwater.apps.demo.place import prepare
from headwater.apps.demo.run import run_demo
from headwater.core.errors import LogError, StoreError
from headwater.core.instant import instant
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.replay import replay
from headwater.serving.scoring import Scoring
from headwater.store.decisions import DecisionStore
from headwater.store.snapshots import Snapshots
from headwater.training.train import open_registry
from tests.letters import says

ACCOUNTS = 120


@pytest.fixture(scope="module")
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def found(folder: Path, shown: io.StringIO) -> dict[str, Any]:
    """One run for all tests."""
    return run_demo(folder, accounts=ACCOUNTS, console=Console(file=shown, width=110))


def test_every_event_counts_once(found: dict[str, Any], folder: Path) -> None:
    with EmbeddedLog.open(folder / ".headwater" / "events.log", writer=False) as log:
        assert log.end() == found["past"]["events"] + found["live"]["events"]
        assert log.verify().problems == ()


def test_served_equals_replayed_for_every_event(found: dict[str, Any]) -> None:
    assert found["worth"]["replayed_same"] == found["worth"]["refreshes"] == found["live"]["events"]


def test_the_true_risk_is_not_beaten(found: dict[str, Any]) -> None:
    auc = {name: value for name, (value, _, _) in found["worth"]["auc"].items()}
    assert 0.5 < auc["model"] < auc["true_risk"] < 1.0
    assert 0.5 < auc["nightly"] < auc["true_risk"]
    assert auc["gain"] == auc["model"] - auc["nightly"]


def test_mistakes_add_up(found: dict[str, Any]) -> None:
    worth = found["worth"]
    assert worth["other_band"] == worth["too_mild"] + worth["too_harsh"]
    assert worth["caught_fresh"] <= worth["charged"] <= worth["decisions"] < worth["refreshes"]
    assert worth["accounts_missed"] <= worth["accounts_charged"] <= ACCOUNTS


def test_latencies_are_measured(found: dict[str, Any]) -> None:
    live = found["live"]
    for name in ("append_us", "fresh_us", "append_to_fresh_us"):
        assert 0 < live[name]["p50"] <= live[name]["p99"] <= live[name]["max"]
    assert live["append_to_fresh_us"]["p50"] > live["fresh_us"]["p50"]
    assert live["events_per_second"] == pytest.approx(live["events"] / live["seconds"])


def test_the_decision_was_replayed_to_the_bit(found: dict[str, Any]) -> None:
    told = found["decision"]
    assert told["replay"]["same"]
    assert told["replay"]["score_then"] == told["replay"]["score_now"] == told["score"].hex()
    assert told["band"] == "act"
    assert 1 <= len(told["reasons"]) <= 4
    assert all(reason["contribution"] > 0 for reason in told["reasons"])


def test_the_folder_is_a_project_that_anyone_can_go_on_with(found: dict[str, Any], folder: Path) -> None:
    project = load_project(folder)
    data = folder / ".headwater"
    model = project.models[0]
    restored = Snapshots(data / "snapshots").newest(project.views)
    assert restored.engine is not None
    assert restored.engine.offset == found["past"]["events"] - 1
    registry = open_registry(data, project)
    scoring = Scoring(model, registry.load(model.name), registry.version(model.name).digest)
    decider = Decider(project.policies[0], scoring)
    with (
        EmbeddedLog.open(data / "events.log", project.streams, writer=False) as log,
        DecisionStore.open(data / "decisions.db") as store,
    ):
        assert store.verify() == found["live"]["decisions"] > 0
        assert all(replay(record.decision, log, decider).same for record in list(store)[:10])


def test_the_page_says_it_all(found: dict[str, Any], shown: io.StringIO) -> None:
    page = shown.getvalue()
    for words in (
        f"{found['live']['events']:,} events",
        "Accepted to score fresh",
        "true risk",
        "last night's batch",
        "Stale: another band",
        "arrived more than an hour late",
        "the same bits",
        *(reason["text"][:20] for reason in found["decision"]["reasons"]),
    ):
        assert words in page, words


def test_the_figures_are_plain_json(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_page_without_outcomes_or_decisions(found: dict[str, Any]) -> None:
    out = io.StringIO()
    bare = {**found, "decision": None, "worth": {**found["worth"], "auc": {}}}
    show(Console(file=out, width=110), bare)
    assert "No account entered the worst band." in out.getvalue()
    assert "No outcomes of both kinds are known yet." in out.getvalue()


#      3rd, 03:59 ──► 2nd, 04:00        3rd, 04:00 ──► itself
def test_last_night() -> None:
    moments = np.array([instant("2026-01-03T03:59:59Z"), instant("2026-01-03T04:00:00Z")])
    nights = [instant("2026-01-02T04:00:00Z"), instant("2026-01-03T04:00:00Z")]
    assert last_night(moments).tolist() == nights


# --- The folder ---------------------------------------------------------------------------------


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with says(
        StoreError,
        f"""
        the folder holds something else than a demo
          expected: a new or empty folder, or that of an earlier demo, which is made anew
          got:      a folder without demo.json
          where:    {tmp_path}
          do:       name another folder: headwater demo --folder FOLDER
        """,
    ):
        prepare(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bank"
    file.write_text("")
    with says(
        StoreError,
        f"""
        the folder holds something else than a demo
          expected: a new or empty folder, or that of an earlier demo, which is made anew
          got:      a file
          where:    {file}
          do:       name another folder: headwater demo --folder FOLDER
        """,
    ):
        prepare(file, {})


@pytest.mark.parametrize("mark", ["", "[]", '{"made_by": "somebody"}'])
def test_a_mark_that_is_none(tmp_path: Path, mark: str) -> None:
    (tmp_path / "demo.json").write_text(mark)
    with pytest.raises(StoreError, match="something else"):
        prepare(tmp_path, {})


def test_an_earlier_demo_is_made_anew_and_nothing_else_is_touched(tmp_path: Path) -> None:
    place = prepare(tmp_path / "bank", {"seed": 1})
    place.data.log.write_text("old")
    (place.path / "notes.txt").write_text("mine")
    again = prepare(tmp_path / "bank", {"seed": 2})
    assert not again.data.log.exists()
    assert (place.path / "notes.txt").read_text() == "mine"
    assert json.loads((place.path / "demo.json").read_text()) == {"made_by": "headwater demo", "seed": 2}


def test_a_demo_that_is_running_is_left_alone(tmp_path: Path) -> None:
    place = prepare(tmp_path, {})
    project = load_project(place.project)
    with EmbeddedLog.open(place.data.log, project.streams), pytest.raises(LogError, match="another process"):
        prepare(tmp_path, {})
    assert place.data.log.exists()
