"""What the service says of itself; dead letters and their second chance; the score stream."""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from headwater.definitions.compile import content_hash
from tests.http.house import House, serving
from tests.http.test_events import pay, post
from tests.serving.bank import POLICY, PROJECT, RISK, scoring


def test_models_policies_and_plan(house: House) -> None:
    (model,) = house.http.get("/v1/models").json()["models"]
    assert (model["name"], model["served"], model["digest"]) == ("risk", True, scoring().digest)
    assert (model["keys"], model["inputs"]) == ({"who": "Int64"}, list(RISK.inputs))
    (policy,) = house.http.get("/v1/policies").json()["policies"]
    assert (policy["bands"], policy["digest"]) == (dict(POLICY.bands), content_hash(POLICY))
    assert house.http.get("/v1/plan").json()["hash"] == content_hash(PROJECT)


def test_reload_says_what_changed(house: House) -> None:
    assert house.http.post("/v1/reload").json() == {"models": {"risk": scoring().digest}, "changed": []}


def test_dead_letters_are_listed_and_get_a_second_chance(tmp_path: Path) -> None:
    with serving(tmp_path) as house:
        post(house, pay(30_001, day=101.0), pay(30_002, day=101.2), pay(30_003, amount="ten"), pay(30_004))
        listed = house.http.get("/v1/dead-letters").json()
        assert listed["counts"] == {"in-the-future": 2, "wrong-type": 1}
        assert [one["reason"] for one in listed["letters"]] == [
            "wrong-type",
            "in-the-future",
            "in-the-future",
        ]
        page = house.http.get("/v1/dead-letters", params={"limit": 2}).json()
        rest = house.http.get("/v1/dead-letters", params={"after": page["next"]}).json()
        assert [*page["letters"], *rest["letters"]] == listed["letters"]
        assert rest["next"] is None

        house.clock.advance("15h")  # the first of the two has happened now
        done = house.http.post("/v1/dead-letters/redrive", json={"reason": "in-the-future"}).json()
        assert done == {"tried": 2, "taken": 1, "left": 1}
        assert house.http.get("/v1/dead-letters").json()["counts"] == {"in-the-future": 1, "wrong-type": 1}
        house.clock.advance("1d")
        assert house.http.post("/v1/dead-letters/redrive", json={}).json() == {
            "tried": 2,
            "taken": 1,
            "left": 1,
        }
        (last,) = house.http.get("/v1/dead-letters").json()["letters"]
        assert (last["reason"], json.loads(last["event"])["id"]) == ("wrong-type", 30_003)


def listen(house: House, count: int, **query: Any) -> tuple[Thread, list[dict[str, Any]]]:
    """Hear so many scores, in a thread of its own, listening when this returns."""
    heard: list[dict[str, Any]] = []
    before = len(house.service.feed)

    def hear() -> None:
        with httpx.stream("GET", f"{house.url}/v1/scores/stream", params=query, timeout=20) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    heard.append(json.loads(line[6:]))
                if len(heard) == count:
                    return

    thread = Thread(target=hear)
    thread.start()
    while len(house.service.feed) == before:
        house.client.ready()
    return thread, heard


def test_scores_are_heard_as_they_come(house: House) -> None:
    thread, heard = listen(house, 3)
    sent = [post(house, pay(31_000 + i, i), refresh=True).json()["scores"][0] for i in range(3)]
    thread.join(20)
    assert heard == sent
    assert house.http.get("/v1/scores/stream", params={"model": "none"}).status_code == 404


def test_a_stream_ends_with_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as house:
        thread, heard = listen(house, 100)
        post(house, pay(31_100))
        until = time.monotonic() + 20
        while not heard and time.monotonic() < until:  # events are answered before their scores are made
            time.sleep(0.01)
    thread.join(20)
    assert not thread.is_alive()
    assert len(heard) == 1


def read_metrics(house: House) -> dict[str, float]:
    """Metric and labels to value."""
    families = text_string_to_metric_families(house.http.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {" ".join([one.name, *sorted(one.labels.values())]): one.value for one in samples}


def test_metrics_count_what_happened(house: House) -> None:
    before = read_metrics(house)
    post(house, pay(32_001), pay(32_001), pay(32_002, amount="ten"), refresh=True)
    band = house.client.decide({"who": 1}).band
    after = read_metrics(house)
    moved = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    for name, by in {
        "headwater_events_total accepted": 1,
        "headwater_events_total duplicate": 1,
        "headwater_events_total refused": 1,
        "headwater_scores_total": 1,
        " ".join(["headwater_decisions_total", *sorted(["lend", band])]): 1,
        "headwater_freshness_seconds_count": 1,
        "headwater_decision_seconds_count": 1,
        "headwater_log_events": 1,
    }.items():
        assert moved[name] == by, name
    assert (after["headwater_lag_events"], after["headwater_ready"]) == (0, 1)
