"""A model that raises, a policy that is missing: told as what they are, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.definitions.compile import content_hash
from headwater.serving.scoring import Float64, Scoring
from tests.http.house import House, serving
from tests.http.test_events import pay, post
from tests.serving.bank import PROJECT, RISK, scoring

QUOTED = "Ada owes 4711"


class Raising:
    """A scorer of a user's making: it fails on those that spent much, and quotes what it saw."""

    kind, space = "raising", "probability"

    def __init__(self, names: tuple[str, ...], good: Any) -> None:
        self.names = names
        self._good = good
        self._spent = names.index("spent_7d")

    def score(self, X: Float64) -> Float64:
        return np.array([self.score_one(x) for x in X])

    def score_one(self, x: Float64) -> float:
        if x[self._spent] > 1_000:
            raise ZeroDivisionError(QUOTED)
        return float(self._good.score_one(x))

    def contributions(self, X: Float64) -> tuple[Float64, float]:
        moved, base = self._good.contributions(X)
        return moved, base


def raising() -> Scoring:
    good = scoring()
    scorer: Any = Raising(good.names, good.scorer)
    return Scoring(RISK, good.artifact, good.digest, scorer)


def test_a_model_that_raises(tmp_path: Path) -> None:
    with serving(tmp_path, scorings={"risk": raising()}) as house:
        records = len(house.service.decisions)
        assert decided(house, 3).status_code == 200
        end = house.service.log.end()
        sent = post(house, pay(60_001, 3, amount=5_000.0), pay(60_002, 4), refresh=True)
        assert (sent.status_code, sent.json()["accepted"]) == (200, 2)
        assert sent.json()["failure"].startswith("the model failed to score")
        answer = decided(house, 3)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        told = answer.json()
        assert (told["code"], told["problems"]) == (
            "scoring",
            [
                {
                    "what": "the model failed to score",
                    "got": "ZeroDivisionError",
                    "do": "look at the service's log; the events are taken in and lose nothing",
                }
            ],
        )
        assert QUOTED not in answer.text + sent.text
        assert decided(house, 5).status_code == 200  # others are decided on
        assert house.http.get("/readyz").status_code == 200
        assert house.http.get("/v1/features/spending/3").json()["features"]["spent_7d"] > 1_000
        assert (house.service.log.end(), len(house.service.decisions)) == (end + 2, records + 2)
        house.service.swap({"risk": scoring()})  # the model is mended
        again = decided(house, 3)
        assert (again.status_code, again.json()["offset"]) == (200, end + 1)
        assert house.http.post(f"/v1/decisions/{again.json()['decision_id']}/replay").json()["same"]
        assert {where for where, _ in house.faults.faults} == {"score", "decide"}
        house.service.decisions.verify()


def decided(house: House, who: int, **asked: Any) -> Any:
    return house.http.post("/v1/decisions", json={"keys": {"who": who}, **asked})


def test_a_request_that_failed_may_be_sent_again(tmp_path: Path) -> None:
    """The name of a request is not used up by a failure."""
    with serving(tmp_path, scorings={"risk": raising()}) as house:
        post(house, pay(60_011, 3, amount=5_000.0))
        name = {"Idempotency-Key": "order 7"}
        ask = {"keys": {"who": 3}}
        assert house.http.post("/v1/decisions", json=ask, headers=name).status_code == 503
        house.service.swap({"risk": scoring()})
        first, again = (house.http.post("/v1/decisions", json=ask, headers=name).json() for _ in range(2))
        assert first["decision_id"] == again["decision_id"]


@pytest.mark.parametrize("asked", [{}, {"policy": "lend"}, {"policy": "none"}])
def test_a_policy_that_is_missing(tmp_path: Path, asked: dict[str, str]) -> None:
    """None in the project, or its model was never trained: told, and serving goes on."""
    ways: list[dict[str, Any]] = [{"scorings": {}}, {"project": hw.Project("bank", [RISK])}]
    for kw in ways:
        with serving(tmp_path / str(len(kw)) / next(iter(kw)), **kw) as house:
            answer = decided(house, 1, **asked)
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown")
            assert answer.json()["title"] == "there is no such policy"
            assert answer.json()["problems"][0]["expected"] == "a policy; there is none"
            assert post(house, pay(60_021)).json()["accepted"] == 1
            assert len(house.service.decisions) == 0
            assert house.http.post("/v1/backtests", json={"with": asked}).status_code == 404


def test_a_policy_that_went_away(tmp_path: Path) -> None:
    """A decision was made under it; it is gone from the project, and kept in the folder."""
    with serving(tmp_path) as house:
        made = decided(house, 1).json()
        house.service.swap({"risk": scoring()}, hw.Project("bank", [RISK]))
        assert decided(house, 1).status_code == 404
        assert house.http.get(f"/v1/decisions/{made['decision_id']}").json() == made
        answer = house.http.post(f"/v1/decisions/{made['decision_id']}/replay")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown")
        kept = house.http.get(f"/v1/definitions/{made['versions']['policy']}").json()
        assert (kept["kind"], kept["serving"], kept["definition"]["bands"]["act"]) == ("policy", False, 0.5)
        house.service.swap({"risk": scoring()}, PROJECT)
        assert house.http.post(f"/v1/decisions/{made['decision_id']}/replay").json()["same"]
        assert made["versions"]["policy"] == content_hash(PROJECT.policies[0])
