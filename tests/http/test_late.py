"""Late events and what they would have changed; an entity's scores; parity of what was served."""

from __future__ import annotations

from pathlib import Path

from tests.http.house import House, serving
from tests.http.test_events import pay, post
from tests.http.test_project import read_metrics


def test_a_late_event_is_in_the_ledger_with_the_decision_it_would_have_changed(house: House) -> None:
    """::

    day 100.0 event ── day 100.5 decision ── then an event of day 99.0 comes in
    """
    post(house, pay(40_001, who=8, day=100.0))
    made = house.client.decide({"who": 8})
    post(house, pay(40_002, who=8, day=99.0, amount=800.0))
    house.monitors.round()
    (event,) = house.http.get("/v1/late", params={"key": "8"}).json()["events"]
    assert (event["late_seconds"], event["keys"], event["stream"]) == (86_400, {"who": 8}, "payments")
    assert {"n_7d", "spent_7d", "largest_30d"} <= set(event["moved"])
    (decision,) = event["decisions"]
    assert decision["decision_id"] == made.decision_id
    assert decision["then"] == {"score": made.score, "band": made.band}
    assert decision["now"]["score"] != made.score
    assert house.http.get("/v1/late", params={"from": "2030-01-01T00:00:00Z"}).json() == {
        "events": [],
        "next": None,
    }


def test_a_timeline_is_the_refreshes_of_an_entity(house: House) -> None:
    sent = [
        post(house, pay(41_000 + i, who=9, day=100 + i / 10, amount=150.0 * i), refresh=True).json()
        for i in range(3)
    ]
    scores = [one["scores"][0]["score"] for one in sent]
    page = house.http.get("/v1/entities/9/timeline", params={"newest": True, "limit": 3}).json()
    assert [one["score"] for one in page["moments"]] == scores[::-1]
    assert page["moments"][0]["before"] == scores[1]
    assert page["moments"][0]["moved"]
    assert house.http.get("/v1/entities/x/timeline").status_code == 422
    assert house.http.get("/v1/entities/9/timeline", params={"model": "none"}).status_code == 404


def test_what_is_served_is_derived_again(tmp_path: Path) -> None:
    with serving(tmp_path) as house:
        post(house, *[pay(42_000 + i, i % 20, 99.0 + (i * 7 % 13) / 10) for i in range(60)], refresh=True)
        for who in range(10):
            house.client.decide({"who": who})
        house.monitors.round()
        found = read_metrics(house)
        assert found["headwater_parity_compared_total"] >= 10
        assert found["headwater_parity_mismatches_total"] == 0
        assert found["headwater_late_events_total"] > 0


def test_a_long_way_is_gone_in_turns(tmp_path: Path) -> None:
    """Where the work takes long, stretches get shorter, and a round ends before the log does."""
    with serving(tmp_path) as house:
        post(house, *[pay(43_000 + i, i % 20, 99.0 + (i * 7 % 13) / 10) for i in range(60)])
        house.monitors.round()
        known = house.monitors.late.reached().offset
        ticks = iter(range(10**9))
        house.monitors.rounds._watch = lambda: float(next(ticks))  # each look at it takes a second
        for start in range(44_000, 51_000, 1_000):
            post(house, *[pay(start + i, i % 20, 97.0 + (i * 7 % 13) / 10) for i in range(1_000)])
        turns = 0
        while house.monitors.rounds.unfinished or not turns:
            house.monitors.rounds.round()
            turns += 1
        assert house.monitors.late.reached().offset == house.service.log.end() == known + 7_000
        assert turns >= 3
        assert house.monitors.rounds.figures().late_events == len(house.monitors.late)
