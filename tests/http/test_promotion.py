"""Which version decides, changed over HTTP and beside it: no request dropped, nothing damaged served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import headwater as hw
from headwater.client.failures import ApiError
from headwater.retraining.gate import gate
from headwater.retraining.promotion import Office, promote
from headwater.retraining.rules import Rules
from tests.http.house import House
from tests.http.registered import Loop, registered
from tests.serving.bank import PROJECT, micros

WHY = "the old one is wrong"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[House, Loop]]:
    with registered(tmp_path) as made:
        yield made


class Asking(Thread):
    """Asks for one decision after another, until told to end."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.house = house
        self.ending = Event()
        self.answers: list[tuple[int, str]] = []

    def run(self) -> None:
        while not self.ending.is_set():
            answer = self.house.http.post("/v1/decisions", json={"keys": {"who": len(self.answers) % 20}})
            self.answers.append((answer.status_code, answer.json().get("versions", {}).get("model", "")))


def test_a_promotion_is_served_and_drops_no_request(both: tuple[House, Loop]) -> None:
    house, loop = both
    first, second = loop.digest(1), loop.digest(2)
    asking = Asking(house)
    asking.start()
    changed = house.client.promote("risk", force=True, why=WHY)
    assert (changed.champion.number, changed.before, changed.forced, changed.served) == (2, 1, True, True)
    assert changed.words == "risk version 2 is champion now, past its gate; before it was version 1."
    assert house.client.decide({"who": 1}).versions.model == second
    back = house.client.rollback("risk", why="it was worse")
    assert (back.champion.number, back.before, back.served) == (1, 2, True)
    assert house.client.decide({"who": 1}).versions.model == first
    asking.ending.set()
    asking.join(20)
    assert {status for status, _ in asking.answers} == {200}
    turns = [
        digest for digest, after in zip(asking.answers, asking.answers[1:], strict=False) if digest != after
    ]
    assert len(turns) <= 2  # the old one before each change, the new one after it
    assert [(act.action, act.actor) for act in loop.acts()] == [
        ("model.promoting", "open"),
        ("model.promote", "open"),
        ("model.rolling_back", "open"),
        ("model.rollback", "open"),
    ]
    assert loop.acts()[1].details["why"] == WHY


def test_what_its_gate_did_not_pass_is_refused(both: tuple[House, Loop]) -> None:
    house, loop = both
    answer = house.http.post("/v1/models/risk/promote")
    assert (answer.status_code, answer.json()["code"]) == (409, "gate")
    assert answer.json()["problems"] == [
        {
            "what": "risk version 2 was not gated",
            "expected": "a gate against version 1 that said promote",
            "got": "no report of a gate",
            "where": "risk",
            "do": "gate it first: headwater gate",
        }
    ]
    with pytest.raises(ApiError, match="a promotion past the gate needs a reason"):
        house.client.promote("risk", 2, force=True)
    with pytest.raises(ApiError, match="risk has no earlier champion to go back to"):
        house.client.rollback("risk")
    for body in ({"version": 0}, {"version": ""}, {"who": 1}, {"force": "yes"}, {"why": "x" * 2_001}):
        assert house.http.post("/v1/models/risk/promote", json=body).status_code == 422, body
    assert house.http.post("/v1/models/none/promote").status_code == 404
    assert house.http.post("/v1/models/risk/promote", json={"version": "none"}).json()["code"] == "model"
    assert (loop.acts(), house.client.decide({"who": 1}).versions.model) == ([], loop.digest(1))


def damaged(loop: Loop, number: int) -> Path:
    """A byte of a version's model is another one."""
    file = max(loop.artifact(number).iterdir(), key=lambda one: one.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    return file


def test_a_damaged_version_is_refused_and_the_champion_goes_on(both: tuple[House, Loop]) -> None:
    house, loop = both
    file = damaged(loop, 2)
    answer = house.http.post("/v1/models/risk/promote", json={"force": True, "why": WHY})
    assert (answer.status_code, answer.json()["code"]) == (422, "model")
    (told,) = answer.json()["problems"]
    assert file.name in f"{told}", told
    assert loop.registry.version("risk").number == 1
    assert loop.acts() == []
    # somebody moves the alias past all this, in MLflow's own way
    loop.registry.point("risk", "champion", 2)
    assert loop.following.look() == ()
    assert [where for where, _ in house.faults.faults] == ["champion"]
    assert loop.following.look() == ()
    assert len(house.faults.faults) == 1  # told once
    assert house.client.decide({"who": 1}).versions.model == loop.digest(1)


def test_a_promotion_beside_the_server_is_noticed(both: tuple[House, Loop]) -> None:
    """As ``headwater promote`` makes it: in the registry and the audit trail alone."""
    house, loop = both
    loop.following.look()
    office = Office(loop.registry, loop.trail, house.service.folder.path, "cli:ada", house.clock.now())
    promote(office, "risk", 2, force=True, why=WHY)
    assert house.client.decide({"who": 1}).versions.model == loop.digest(1)
    assert loop.following.look() == ("risk",)
    made = house.client.decide({"who": 1})
    assert made.versions.model == loop.digest(2)
    assert loop.following.look() == ()
    assert house.client.replay(made.decision_id).same
    house.client.rollback("risk")
    assert house.client.replay(made.decision_id).same  # by the version that made it


def test_the_report_of_the_gate(both: tuple[House, Loop]) -> None:
    house, loop = both
    with pytest.raises(ApiError, match="no gate of risk has a report"):
        house.client.gate("risk")
    rules = Rules(bootstrap=20)
    report = gate(
        PROJECT, "risk", house.service.log, loop.registry, as_of=micros(100), now=micros(100), rules=rules
    )
    found = house.client.gate("risk")
    assert (found.candidate, found.champion, found.verdict) == (2, 1, report.verdict)
    assert (found.report, found.words) == (report.digest, report.words())
    assert len(found.checks) == len(report.checks)
    assert house.client.gate("risk", 2) == found == house.client.gate("risk", "challenger")
    with pytest.raises(ApiError, match="no gate of risk has a report"):
        house.client.gate("risk", 1)
    kept = loop.registry.kept(loop.registry.version("risk", 2), "gate")
    (file,) = kept.glob("*.json")
    file.write_text(file.read_text(encoding="utf-8").replace('"hold"', '"promote"'), encoding="utf-8")
    with pytest.raises(ApiError, match="the gate's report is not the one that was written"):
        house.client.gate("risk")


def test_without_a_registry(house: House) -> None:
    """A service that has none says so."""
    client: Any = hw.Client(house.url)
    for ask in (client.promote, client.rollback, client.gate):
        with pytest.raises(ApiError, match="this service has no registry"):
            ask("risk")
    client.close()
