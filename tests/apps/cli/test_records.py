"""``replay``, ``backtest`` and ``late`` on a small project with decisions and late events."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headwater.apps.archive import Archive, Exchange
from headwater.core.instant import DAY
from headwater.definitions.loading import load_project
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.live import Scored
from headwater.serving.rederive import Asked, rederive
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder
from headwater.testing import events
from headwater.training.train import open_registry
from tests.apps.cli.conftest import Headwater
from tests.apps.cli.shop import project_text

END = 1_767_225_600_000_000 + 120 * DAY


def decide(folder: Path, log: EmbeddedLog, decider: Decider, who: Sequence[int], time: int) -> None:
    """Decisions on the newest offset, recorded."""
    asked = [Asked({"who": one}, time, log.end() - 1) for one in who]
    X = rederive(decider.scoring, asked, log)
    with DecisionStore.open(DataFolder(folder).decisions) as store:
        store.append(
            [
                decider.decide(
                    Scored("risk", one.keys, time, one.offset, {}, x, decider.scoring.score(x)), time
                )
                for one, x in zip(asked, X, strict=True)
            ]
        )


def pay(log: EmbeddedLog, project: Project, id: int, who: int, time: int, arrival: int) -> None:
    """One payment, late or not."""
    (stream,) = project.streams
    when = datetime.fromtimestamp(time // 1_000_000, UTC)
    row = {"id": id, "who": who, "time": when, "amount": 75.0, "kind": "card", "name": "Ada"}
    log.append("payments", events(stream, row), arrival=arrival)


@pytest.fixture(scope="module")
def decided_folder(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten decisions, then two late payments, then one decision more. Do not change it: see ``decided``."""
    folder = tmp_path_factory.mktemp("decided") / "shop"
    shutil.copytree(trained_folder, folder)
    project, data = load_project(folder), folder / ".headwater"
    decider = Archive(project, open_registry(data, project)).exchanged("risk", Exchange())
    with EmbeddedLog.open(DataFolder(data).log, project.streams) as log:
        decide(data, log, decider, range(10), END)
        for id, who in ((10_001, 3), (10_002, 4)):
            pay(log, project, id, who, END + DAY, END + 2 * DAY)
            pay(log, project, id + 10, who, END - DAY, END + 2 * DAY)
        decide(data, log, decider, [3], END + 3 * DAY)
    return folder


@pytest.fixture
def decided(decided_folder: Path, place: Path) -> Path:
    shutil.copytree(decided_folder, place, dirs_exist_ok=True)
    return place


def test_replay_is_the_same_to_the_bit(headwater: Headwater, decided: Path) -> None:
    assert decided.is_dir()
    document = headwater("replay", "--last", "100", "--json").json
    assert (document["same"], len(document["replayed"]), document["with"]) == (11, 11, [])
    (one,) = headwater("replay", "d4", "--json").json["replayed"]
    assert (one["decision"], one["keys"], one["same"], one["differences"]) == ("d4", {"who": 3}, True, [])
    said = headwater("replay", "d4").out
    assert "d4, risk, who 3, as of 2026-05-01T00:00:00Z" in said
    assert "Every bit is the same: 4 features" in said


def test_replay_with_another_policy(headwater: Headwater, decided: Path) -> None:
    (decided / "other").mkdir()
    text = project_text().replace('"watch": 0.3', '"watch": 0.0000001')
    (decided / "other" / "project.py").write_text(text, encoding="utf-8")
    ended = headwater("replay", "--last", "100", "--with", "definitions=other", "--json")
    assert ended.code == 0
    causes = {d["cause"] for one in ended.json["replayed"] for d in one["differences"]}
    assert causes == {"policy"}
    assert {one["now"]["band"] for one in ended.json["replayed"]} == {"watch"}
    found = headwater("backtest", "--with", "definitions=other", "--json").json
    assert found["causes"] == {"policy": found["changed"]}
    assert found["changed"] == sum(
        move["decisions"] for move in found["transitions"] if move["then"] == "calm"
    )
    assert len(found["decisions"]) == found["changed"]


def test_backtest_with_its_own(headwater: Headwater, decided: Path) -> None:
    assert decided.is_dir()
    found = headwater("backtest", "--json").json
    assert (found["compared"], found["same"], found["changed"], found["stopped"]) == (11, 11, 0, False)
    assert headwater("backtest", "--key", "3", "--json").json["compared"] == 2
    said = headwater("backtest", "risk", "--with", "model=1").out
    assert "11 decisions of risk were made again." in said
    assert (
        "0 would have another band; 0 another score, feature or reason; 11 are the same to the bit." in said
    )


def test_a_tampered_decision_is_an_alarm(headwater: Headwater, decided: Path) -> None:
    connection = sqlite3.connect(DataFolder(decided / ".headwater").decisions)
    connection.executescript(
        "DROP TRIGGER decisions_stay;"
        "UPDATE decisions SET record = replace(record, '\"n_7d\":', '\"n_7d\":9') WHERE number = 2;"
    )
    connection.close()
    ended = headwater("replay", "d1", "d2")
    assert ended.code == 7
    assert "Data, the log no longer gives what it gave: 1 feature differs (n_7d 9" in ended.out
    assert "1 of 2 decisions are the same to the bit." in ended.out


def test_a_policy_that_has_changed_since_is_found_where_it_was_kept(
    headwater: Headwater, decided: Path
) -> None:
    changed = project_text().replace('"watch": 0.3', '"watch": 0.0000001')
    (decided / "project.py").write_text(changed, encoding="utf-8")
    assert headwater("replay", "--last", "100", "--json").json["same"] == 11
    ended = headwater("replay", "d1", "--definitions", "current")
    assert ended.code == 0
    assert "  Policy: the band is 'watch', not 'calm' for the same score." in ended.out
    kept = {one["kind"]: one["hash"] for one in headwater("plan", "--json").json["kept"]}
    assert headwater("replay", "d1", "--with", f"policy={kept['policy']}", "--json").json["same"] == 1
    assert headwater("replay", "d1", "--definitions", kept["project"][:10], "--json").json["same"] == 1
    found = headwater("backtest", "--definitions", kept["project"], "--json").json
    assert (found["same"], found["with"]) == (11, [f"definitions={kept['project']}"])


def test_from_the_folder_alone(headwater: Headwater, decided: Path) -> None:
    """The project file is gone, and so is every other one: features, model and policy are all kept."""
    (decided / "project.py").unlink()
    ended = headwater("replay", "--last", "100", "--json")
    assert ended.code == 0, ended
    assert ended.json["same"] == 11
    said = headwater("replay", "d4")
    assert "there is no project file" in said.err
    assert "Every bit is the same: 4 features" in said.out
    assert headwater("backtest", "--json").json["same"] == 11
    assert headwater("plan").code == 3


def test_other_features_of_the_same_names(headwater: Headwater, decided: Path) -> None:
    """Another definition that no model was trained from: read by the model that decided."""
    cards = project_text().replace(
        'hw.sum("amount", over="30d")', 'hw.sum("amount", where=pl.col("kind") == "card", over="30d")'
    )
    (decided / "cards.py").write_text(cards, encoding="utf-8")
    ended = headwater("replay", "d4", "--definitions", "cards.py", "--json")
    (one,) = ended.json["replayed"]
    assert ended.code == 0
    assert {difference["cause"] for difference in one["differences"]} == {"definition"}
    start = "Definition, features mean something else: 1 feature differs (spent_30d "
    assert one["words"][0].startswith(start)
    found = headwater("backtest", "--definitions", "cards.py", "--json").json
    assert (found["compared"], found["data"]) == (11, 0)
    assert set(found["causes"]) <= {"definition"}
    with_policy = cards.replace('"watch": 0.3', '"watch": 0.0000001')
    (decided / "cards.py").write_text(with_policy, encoding="utf-8")
    (one,) = headwater("replay", "d4", "--definitions", "cards.py", "--json").json["replayed"]
    assert [text.partition(":")[0].partition(",")[0] for text in one["words"]] == ["Definition", "Policy"]


def test_a_tampered_definition_stops_a_replay(headwater: Headwater, decided: Path) -> None:
    file = DataFolder(decided / ".headwater").definitions
    connection = sqlite3.connect(file)
    connection.executescript(
        "DROP TRIGGER definitions_stay;"
        "UPDATE definitions SET text = replace(text, '0.3', '0.2') WHERE kind = 'policy';"
    )
    connection.close()
    changed = project_text().replace('"watch": 0.3', '"watch": 0.4')
    (decided / "project.py").write_text(changed, encoding="utf-8")
    ended = headwater("replay", "d1")
    assert ended.code == 5
    start = "a kept definition is not the one that was written\n  expected: policy risk_policy"
    assert ended.err.startswith(start)


def test_definitions_that_are_not_kept(headwater: Headwater, decided: Path) -> None:
    assert decided.is_dir()
    headwater("replay", "d1", "--definitions", "0123456789").fails(
        4,
        """
        no such definitions are kept
          expected: the hash of a project or a model, its first 8 digits or more, or current
          got:      '0123456789'
          do:       `headwater plan` lists what is kept
        """,
    )
    policy = headwater("plan", "--json").json["kept"][-1]["hash"]
    ended = headwater("replay", "d1", "--definitions", policy)
    assert (ended.code, "replay with the policy of this hash" in ended.err) == (4, True)


def test_a_policy_that_is_kept_nowhere(headwater: Headwater, decided: Path) -> None:
    changed = project_text().replace('"watch": 0.3', '"watch": 0.4')
    (decided / "project.py").write_text(changed, encoding="utf-8")
    DataFolder(decided / ".headwater").definitions.unlink()
    ended = headwater("replay", "d1")
    assert ended.code == 6
    assert ended.err.startswith("the policy that decided is not at hand\n  expected: risk_policy, hash ")
    assert "--with policy=NAME" in ended.err
    ended = headwater("replay", "d1", "--with", "policy=risk_policy", "--json")
    assert (ended.code, ended.json["replayed"][0]["then"]["score"]) == (
        0,
        ended.json["replayed"][0]["now"]["score"],
    )


def test_a_definition_that_has_changed_since(headwater: Headwater, decided: Path) -> None:
    changed = project_text(over='["7d", "14d"]')
    (decided / "project.py").write_text(changed, encoding="utf-8")
    assert headwater("replay", "d1", "--json").json["same"] == 1
    ended = headwater("replay", "d1", "--with", "definitions=project.py")
    assert ended.code == 6
    assert ended.err.startswith("no version of risk was trained from these definitions\n")


def test_late_events_and_what_they_would_have_changed(headwater: Headwater, decided: Path) -> None:
    assert decided.is_dir()
    document = headwater("late", "--check", "--json").json
    assert document["events"] == 2
    assert document["check"] == {"same": True, "rows_apart": 0}
    second, first = document["late"]
    assert (first["keys"], first["model"], first["late_microseconds"]) == ({"who": 3}, "risk", 2 * DAY)
    assert {"n_7d", "n_30d", "spent_30d"} <= set(first["moved"])
    assert [one["decision"] for one in first["decisions"]] == ["d4"]
    assert [one["decision"] for one in second["decisions"]] == ["d5"]
    assert headwater("late", "--as-is", "--json").json["late"] == document["late"]
    assert [one["keys"] for one in headwater("late", "--key", "4", "--json").json["late"]] == [{"who": 4}]
    said = headwater("late", "--check").out
    assert "2 late events among the " in said
    assert "2d" in said
    assert "A ledger made anew holds the same rows." in said


def test_a_ledger_that_was_changed_is_found(headwater: Headwater, decided: Path) -> None:
    assert headwater("late").code == 0
    connection = sqlite3.connect(DataFolder(decided / ".headwater").late)
    connection.execute("UPDATE late SET late = 5 WHERE number = 1")
    connection.commit()
    connection.close()
    ended = headwater("late", "--check", "--json")
    assert (ended.code, ended.json["check"]) == (7, {"same": False, "rows_apart": 1})


def test_what_replay_may_not_be_called_with(headwater: Headwater, trained: Path) -> None:
    headwater("replay").fails(
        2,
        """
        name decisions by their ids, or the newest ones with --last N
          do:       see `headwater replay --help`
        """,
    )
    headwater("replay", "d1").fails(
        5,
        f"""
        nothing was decided yet
          where:    {Path(".headwater") / "decisions.db"}
          do:       serve the project and ask for decisions first; or name the data folder with --data
        """,
    )
    headwater("backtest", "--with", "modle=2").fails(
        4,
        """
        it is not clear what to replay with
          expected: model=WHICH, policy=NAME or definitions=FILE, each once
          got:      modle=2
          do:       name a version or alias of the model, a policy of the project, or another project file
        """,
    )
    headwater("backtest", "--with", "policy=other").fails(
        4,
        """
        risk has no policy 'other'
          expected: risk_policy
          got:      'other'
          do:       name a policy of the project that reads this model, or the hash of one that was kept
        """,
    )
    assert trained.is_dir()


def test_late_needs_a_model(headwater: Headwater, shop: Path) -> None:
    assert headwater("import", "payments.csv").code == 0
    headwater("late").fails(
        6,
        """
        no model of the project is trained, so nothing says what a late event moved
          expected: a champion of today's definition
          where:    shop
          do:       train a model first: headwater train
        """,
    )
    assert shop.is_dir()
