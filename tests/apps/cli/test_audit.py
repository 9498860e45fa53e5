"""``headwater audit verify``: chains, keys and decisions made again; one changed byte, and where."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.apps.anchors import missing, note
from headwater.apps.cli.audit import verify
from headwater.apps.cli.models import open_model
from headwater.apps.cli.scoring import score_at
from headwater.apps.cli.workplace import Workplace
from headwater.apps.settings import Settings
from headwater.serving.decide import Decider
from headwater.serving.live import Scored
from headwater.store.audit import AuditTrail
from headwater.store.decisions import DecisionStore
from headwater.testing import ManualClock
from tests.apps.cli.conftest import Ended, Headwater

ACCESS = Path(".headwater/access.db")
DECISIONS = Path(".headwater/decisions.db")
DEFINITIONS = Path(".headwater/definitions.db")
COUNT = 4


def decide() -> None:
    """Some decisions on the trained project of the present folder."""
    work = Workplace(Settings.read({}), ManualClock())
    opened = open_model(work, None, "champion")
    assert opened.policy is not None
    decider = Decider(opened.policy, opened.scoring)
    with work.reading() as log, DecisionStore.open(DECISIONS) as store:
        moment, end = log.arrival(), log.end()
        found = score_at(opened, log, moment, [str(who) for who in range(1, COUNT + 1)])
        for row, who in enumerate(found.frame["who"]):
            x = found.X[row]
            scored = Scored(opened.model.name, {"who": who}, moment, end - 1, {}, x, opened.scoring.score(x))
            store.append([decider.decide(scored, moment)])


@pytest.fixture
def decided(trained: Path, headwater: Headwater) -> Path:
    """A project with decisions and a key."""
    decide()
    assert headwater("keys", "create", "loader", "--role", "ingest").code == 0
    return trained


def tampered(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.executescript(statement)
    connection.close()


def problems(ended: Ended) -> list[Any]:
    assert ended.code == 7, ended.out
    assert ended.json["sound"] is False
    return [(one["what"], one["where"]) for one in ended.json["problems"]]


@pytest.mark.usefixtures("place")
def test_nothing_to_prove(headwater: Headwater) -> None:
    ended = headwater("audit", "verify", "--json")
    assert ended.code == 0
    assert ended.json == {
        "sound": True,
        "trail": None,
        "keys": None,
        "decisions": None,
        "definitions": None,
        "replay": None,
        "problems": [],
    }
    assert not ACCESS.exists()


@pytest.mark.usefixtures("decided")
def test_all_is_proven_and_comes_out_again(headwater: Headwater) -> None:
    found = headwater("audit", "verify", "--replay", "all", "--json").json
    assert (found["sound"], found["keys"], found["trail"]["entries"]) == (True, 1, 1)
    assert found["decisions"]["records"] == COUNT
    told = found["replay"]
    assert (told["same"], told["different"], told["gone"]) == (COUNT, 0, 0)
    links = [found["trail"]["link"], found["decisions"]["link"]]
    again = headwater("audit", "verify", "--link", links[0], "--link", links[1])
    assert again.code == 0
    assert again.out.endswith("Nothing was changed.\n")
    some = headwater("audit", "verify", "--replay", "2", "--seed", "7", "--json").json["replay"]
    assert (some["same"], some["seed"]) == (2, 7)


@pytest.mark.usefixtures("decided")
def test_one_changed_byte_is_located(headwater: Headwater) -> None:
    tampered(
        DECISIONS, "UPDATE decisions SET record = replace(record, '\"calm\"', '\"walm\"') WHERE number = 3"
    )
    (found,) = problems(headwater("audit", "verify", "--json"))
    assert "decision" in found[0]
    assert "3" in found[1].replace(str(DECISIONS), "")
    tampered(ACCESS, "UPDATE trail SET entry = replace(entry, 'ingest', 'ingesT')")
    trail, *_ = problems(headwater("audit", "verify", "--json"))
    assert trail == ("an audit entry is not the one that was written", f"{ACCESS}, number 1")


@pytest.mark.usefixtures("decided")
def test_a_role_written_by_hand(headwater: Headwater) -> None:
    tampered(ACCESS, "UPDATE keys SET roles = '[\"admin\"]'")
    (found,) = problems(headwater("audit", "verify", "--json"))
    assert found[0] == "an API key is not as the audit trail says"
    ended = headwater("audit", "verify")
    assert ended.code == 7
    assert ended.out.endswith("Not proven: 1 problems.\n")


@pytest.mark.usefixtures("decided")
def test_a_noted_link_that_is_gone(headwater: Headwater) -> None:
    noted = headwater("audit", "verify", "--json").json["decisions"]["link"]
    for table in ("decisions", "keys"):
        tampered(DECISIONS, f"DELETE FROM {table} WHERE number = {COUNT}")  # noqa: S608 - a number
    assert headwater("audit", "verify").code == 0  # the chain that is left is whole
    ended = headwater("audit", "verify", "--link", noted, "--json")
    assert problems(ended) == [("a link that was noted is in no chain", None)]


@pytest.mark.usefixtures("decided")
def test_an_anchor_in_the_trail_finds_a_cut(headwater: Headwater) -> None:
    with AuditTrail.open(ACCESS) as trail, DecisionStore.open(DECISIONS) as store:
        entry = note(trail, store, now=7, actor="server")
        assert entry is not None
        assert note(trail, store, now=8, actor="server") is None
    assert headwater("audit", "verify").code == 0
    for table in ("decisions", "keys"):
        tampered(DECISIONS, f"DELETE FROM {table} WHERE number = {COUNT}")  # noqa: S608 - a number
    what = "the decision records are not those that the audit trail tells of"
    ended = headwater("audit", "verify", "--json")
    assert problems(ended) == [(what, f"audit entry {entry.number}")]
    assert ended.json["problems"][0]["got"] == f"{COUNT - 1} records"
    for file in DECISIONS.parent.glob("decisions.db*"):
        file.unlink()
    assert problems(headwater("audit", "verify", "--json")) == [(what, f"audit entry {entry.number}")]


@pytest.mark.usefixtures("place")
def test_without_decisions_nothing_is_anchored() -> None:
    ACCESS.parent.mkdir()
    with AuditTrail.open(ACCESS) as trail, DecisionStore.open(DECISIONS) as store:
        assert note(trail, store, now=7, actor="server") is None
        assert list(missing(trail, store)) == []


@pytest.mark.usefixtures("decided")
def test_decisions_of_a_policy_that_was_changed_are_proven_all_the_same(headwater: Headwater) -> None:
    file = Path("project.py")
    file.write_text(
        file.read_text(encoding="utf-8").replace('"watch": 0.3', '"watch": 0.4'), encoding="utf-8"
    )
    ended = headwater("audit", "verify", "--replay", "all", "--json")
    assert (ended.code, ended.json["definitions"]) == (0, 3)
    assert (ended.json["replay"]["same"], ended.json["replay"]["gone"]) == (COUNT, 0)
    DEFINITIONS.unlink()
    ended = headwater("audit", "verify", "--replay", "all", "--json")
    assert (ended.code, ended.json["replay"]["gone"]) == (0, COUNT)


@pytest.mark.usefixtures("decided")
def test_a_tampered_definition_is_not_proven(headwater: Headwater) -> None:
    tampered(DEFINITIONS, "UPDATE definitions SET text = replace(text, '0.3', '0.2') WHERE kind = 'policy'")
    (found,) = problems(headwater("audit", "verify", "--json"))
    assert found == ("a kept definition is not the one that was written", str(DEFINITIONS))


@pytest.mark.parametrize(
    "args", [("--replay", "some"), ("--replay", "-3"), ("--link", "00"), ("--link", "x" * 64)]
)
@pytest.mark.usefixtures("place")
def test_what_cannot_be_asked(headwater: Headwater, args: tuple[str, str]) -> None:
    assert headwater("audit", "verify", *args).code == 2


@pytest.mark.usefixtures("decided")
def test_many_are_derived_together_and_one_that_cannot_be_keeps_nobody(
    headwater: Headwater, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DecisionStore.open(DECISIONS) as store:
        for number in range(3, 12):
            one = store.get(1 + number % COUNT).decision
            if number == 6:
                one = replace(one, keys={"whom": 1})
            if number == 9:
                one = replace(one, features={**one.features, "n_7d": 99.0})
            store.append([one])
    for together in (5_000, 3, 1):
        monkeypatch.setattr(verify, "TOGETHER", together)
        ended = headwater("audit", "verify", "--replay", "all", "--json")
        assert problems(ended) == [
            ("an entity of the past lacks a key of the model", "decision 8"),
            ("the feature 'n_7d' does not come out as it was decided", "decision 11"),
        ]
        told = ended.json["replay"]
        assert (told["same"], told["different"], told["gone"]) == (COUNT + 7, 2, 0)


@pytest.mark.usefixtures("decided")
def test_decisions_that_rest_on_kafka_are_counted_and_sent_there(headwater: Headwater) -> None:
    """Their events are not in the embedded log: not tried there, and not held against anybody."""
    with DecisionStore.open(DECISIONS) as store:
        for number, places in ((1, {"payments/0": 7}), (2, {"payments/1": 3, "visits/1": 0})):
            one = store.get(number).decision
            store.append([replace(one, places=places, features={**one.features, "n_7d": 99.0})])
    ended = headwater("audit", "verify", "--replay", "all", "--json")
    assert ended.code == 0
    told = ended.json["replay"]
    assert told == {"seed": told["seed"], "same": COUNT, "different": 0, "gone": 0, "elsewhere": 2}
    in_words = headwater("audit", "verify", "--replay", "all")
    assert in_words.code == 0
    rest = "2 rest on Kafka's topics: prove them with headwater replay ID --kafka BROKERS"
    assert rest in " ".join((in_words.out + in_words.err).split())
    with DecisionStore.open(DECISIONS) as store:
        store.append([replace(store.get(5).decision, places={})])  # the same on the log is not proven
    ended = headwater("audit", "verify", "--replay", "all", "--json")
    assert problems(ended) == [
        ("the feature 'n_7d' does not come out as it was decided", "decision 7"),
    ]
    assert ended.json["replay"]["elsewhere"] == 2
