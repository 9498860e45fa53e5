"""Decisions over HTTP: recorded when answered, looked up, made again to the bit."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.client.failures import ApiError
from tests.http.house import House
from tests.http.test_events import pay, post


def test_a_decision_is_recorded_and_made_again(house: House) -> None:
    post(house, pay(20_001, who=2))
    made = house.client.decide({"who": 2})
    assert (made.policy, made.model, made.keys) == ("lend", "risk", {"who": 2})
    assert made.band in ("healthy", "watch", "act")
    assert made.offset == house.service.log.end() - 1
    assert house.client.decision(made.decision_id) == made
    again = house.client.replay(made.decision_id)
    assert (again.same, again.differences, again.score, again.band) == (True, [], made.score, made.band)
    assert again.events > 0


def test_a_decision_as_of_a_moment(house: House) -> None:
    made = house.client.decide({"who": 2}, at="2026-04-11T06:00:00Z")
    assert made.time == "2026-04-11T06:00:00Z"


def test_what_was_answered_is_read_by_the_next_decision(house: House) -> None:
    before = house.client.decide({"who": 7}).features["n_7d"]
    for id in range(20_100, 20_120):
        post(house, pay(id, who=7))
        assert before is not None
        before += 1
        assert house.client.decide({"who": 7}).features["n_7d"] == before


PROBLEMS = [
    ({"keys": {}}, 422, "the request does not say exactly what the model asks for"),
    ({"keys": {"who": 1, "card": 2}}, 422, "the request does not say exactly what the model asks for"),
    ({"keys": {"who": "Ada"}}, 422, "$.keys.who has another type"),
    ({"keys": {"who": 1.5}}, 422, "$.keys.who has another type"),
    (
        {"keys": {"who": 1}, "request": {"amount": 1}},
        422,
        "the request does not say exactly what the model asks for",
    ),
    ({"keys": {"who": 1}, "policy": "none"}, 404, "there is no such policy"),
    ({"keys": {"who": 1}, "at": "2026-04-11"}, 422, "a time has no zone"),
    ({"keys": {"who": 1}, "at": "2030-01-01T00:00:00Z"}, 422, "the moment lies in the future"),
    ({"keys": {"who": [1]}}, 422, "$.keys.who.bool is not as expected"),
    ({}, 422, "$.keys is not as expected"),
]


@pytest.mark.parametrize(("asked", "status", "title"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_what_cannot_be_decided_is_a_problem(
    house: House, asked: dict[str, Any], status: int, title: str
) -> None:
    answer = house.http.post("/v1/decisions", json=asked)
    assert (answer.status_code, answer.json()["title"]) == (status, title)


@pytest.mark.parametrize("decision_id", ["0", "d999999", "-1", "x", "d1;drop", "٣", "1" * 40])
def test_a_decision_that_is_not_there(house: House, decision_id: str) -> None:
    with pytest.raises(ApiError) as caught:
        house.client.decision(decision_id)
    assert (caught.value.status, caught.value.reason) == (404, "not-found")


def test_features_are_those_of_a_decision(house: House) -> None:
    at = "2026-04-11T06:00:00Z"
    made = house.client.decide({"who": 2}, at=at)
    spending = house.client.features("spending", 2, at)
    assert {name: made.features[name] for name in ("n_7d", "spent_30d")} == {
        name: spending.features[name] for name in ("n_7d", "spent_30d")
    }
    assert spending.features["way"] in ("card", "cash")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/features/none/1", 404), ("/v1/features/spending/x", 422), ("/v1/features/spending/1?at=x", 422)],
)
def test_features_that_are_not_there(house: House, path: str, status: int) -> None:
    assert house.http.get(path).status_code == status


def test_health(house: House) -> None:
    assert house.http.get("/healthz").json()["status"] == "ok"
    assert house.client.ready().offset == house.service.log.end() - 1
    assert house.http.get("/nothing").json()["code"] == "not-found"
    assert house.http.delete("/healthz").json()["code"] == "method-not-allowed"


def test_the_same_request_sent_again_decides_nothing_anew(house: House) -> None:
    first = house.client.decide({"who": 2}, idempotency_key="order 7")
    again = house.client.decide({"who": 2}, idempotency_key="order 7")
    assert again == first
    assert house.client.decide({"who": 2}, idempotency_key="order 8").decision_id != first.decision_id
    with pytest.raises(ApiError) as caught:
        house.client.decide({"who": 3}, idempotency_key="order 7")
    assert (caught.value.status, caught.value.reason) == (409, "conflict")
    bad = house.http.post("/v1/decisions", json={"keys": {"who": 2}}, headers={"Idempotency-Key": ""})
    assert bad.status_code == 422


def test_decisions_are_listed_a_page_at_a_time(house: House) -> None:
    made = [house.client.decide({"who": 15}).decision_id for _ in range(5)]
    query: dict[str, Any] = {"key": "15", "limit": 2}
    found: list[str] = []
    while True:
        page = house.http.get("/v1/decisions", params=query).json()
        found += [one["decision_id"] for one in page["decisions"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert found == made
    none = house.http.get("/v1/decisions", params={"key": "15", "to": "2026-01-01T00:00:00Z"})
    assert none.json() == {"decisions": [], "next": None}
    assert house.http.get("/v1/decisions", params={"from": "yesterday"}).status_code == 422


def test_a_replay_with_something_else(house: House) -> None:
    made = house.client.decide({"who": 2})
    path = f"/v1/decisions/{made.decision_id}/replay"
    assert house.http.post(path, json={"with": {"policy": "lend"}}).json()["same"]
    assert house.http.post(path, json={"with": {"policy": "none"}}).status_code == 404
    assert house.http.post(path, json={"with": {"model": "7"}}).status_code == 422
