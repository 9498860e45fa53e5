"""Events over HTTP: on disk when answered, each answered by itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from headwater.apps.http.answers import of_events, of_refresh
from headwater.apps.masking import Mask
from tests.http.house import House, open_service
from tests.serving.bank import payment


def pay(id: int, who: int = 1, day: float = 100.0, **more: Any) -> dict[str, Any]:
    """A payment as JSON."""
    when = payment(id, who, day)["time"][0].isoformat()
    return {"id": id, "who": who, "time": when, "amount": 10.0, "way": "card", **more}


def post(house: House, *events: Any, stream: str = "payments", **query: Any) -> httpx.Response:
    return house.http.post("/v1/events", json={"stream": stream, "events": list(events)}, params=query)


def test_an_event_is_accepted_once(house: House) -> None:
    before = house.service.log.end()
    first, again = post(house, pay(10_001)), post(house, pay(10_001))
    assert first.status_code == again.status_code == 200
    assert first.json()["results"] == [{"outcome": "accepted", "offset": before}]
    assert again.json()["results"] == [{"outcome": "duplicate", "offset": before}]
    assert house.service.log.end() == before + 1


def test_each_event_is_answered_by_itself(house: House) -> None:
    answer = post(
        house,
        pay(10_011),
        pay(10_012, who=None),  # type: ignore[arg-type]
        pay(10_013, day=101.0),
        pay(10_011, amount=99.0),
        pay(10_014, colour="red"),
        "no event",
        pay(10_015, amount="ten"),
        pay(10_016),
    ).json()
    assert (answer["accepted"], answer["duplicates"], answer["refused"]) == (2, 0, 6)
    assert [(one.get("reason"), one.get("message")) for one in answer["results"]] == [
        (None, None),
        ("null-key", "who is missing"),
        ("in-the-future", "time lies in the future: 2026-04-12T00:00:00Z"),
        ("conflict", answer["results"][3]["message"]),
        ("unknown-column", "'colour' is not declared in payments"),
        ("not-an-event", "an event is an object with columns, not a text"),
        ("wrong-type", "amount has another type: 'ten'"),
        (None, None),
    ]


def test_refused_events_are_kept_as_dead_letters(house: House) -> None:
    post(house, pay(10_021, amount="ten"), pay(10_022, way="cheque"), pay(10_023, who=None))  # type: ignore[arg-type]
    letters = [one for one in house.service.log.dead_letters(limit=1000) if '"id":1002' in one.event]
    assert [(one.reason, one.source) for one in letters] == [
        ("wrong-type", "http[0]"),
        ("unknown-category", "http[1]"),
        ("null-key", "http[2]"),
    ]


def test_refresh_answers_with_the_fresh_scores(house: House) -> None:
    answer = post(house, pay(10_031, who=3), pay(10_032, who=4), pay(10_033, who=3), refresh=True).json()
    last = answer["results"][2]["offset"]
    assert [(one["keys"], one["offset"]) for one in answer["scores"]] == [
        ({"who": 3}, last),
        ({"who": 4}, last - 1),
    ]
    assert all(
        0 < one["score"] < 1 and one["band"] in ("healthy", "watch", "act") for one in answer["scores"]
    )


def test_a_late_event_says_what_it_moved(house: House) -> None:
    #   day   96.0 ── late ──┐          100.0 ── newest of account 5
    post(house, pay(10_041, who=5, day=100.0))
    score = post(house, pay(10_042, who=5, day=96.0, amount=500.0), refresh=True).json()["scores"][0]
    assert score["late_seconds"] == 4 * 86_400
    assert {"n_7d", "n_30d", "spent_7d", "largest_30d"} <= set(score["moved"])
    assert score["time"] == "2026-04-11T00:00:00Z"


def test_ndjson_and_arrow_give_what_json_gives(house: House) -> None:
    lines = "\n".join(json.dumps(pay(id, who=6)) for id in (10_051, 10_052)) + "\n"
    ndjson = house.http.post(
        "/v1/events",
        content=lines,
        params={"stream": "payments"},
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert [one["outcome"] for one in ndjson.json()["results"]] == ["accepted", "accepted"]
    frame = pl.concat([payment(10_052, 6, 100.0), payment(10_053, 6, 100.0), payment(10_054, None, 100.0)])  # type: ignore[arg-type]
    body = io.BytesIO()
    frame.write_ipc_stream(body)
    arrow = house.client.arrow("payments", body.getvalue(), refresh=True)
    assert [one.outcome for one in arrow.results] == ["duplicate", "accepted", "refused"]
    assert arrow.results[2].reason == "null-key"
    assert arrow.scores is not None
    assert [score.keys for score in arrow.scores] == [{"who": 6}]


def test_no_event_is_an_answer_too(house: House) -> None:
    answer = post(house, refresh=True).json()
    assert (answer["accepted"], answer["results"], answer["scores"]) == (0, [], [])


PROBLEMS = [
    (b"{", "malformed", 400, "the body is no JSON"),
    (
        b'{"stream": "payments", "stream": "payments", "events": []}',
        "malformed",
        400,
        "a key stands twice in one object",
    ),
    (
        b'{"stream": "payments", "events": [{"amount": NaN}]}',
        "malformed",
        400,
        "the JSON holds a number that is none",
    ),
    (
        b'{"stream": "payments", "events": ' + b"[" * 100_000,
        "malformed",
        400,
        "the JSON is nested too deeply",
    ),
    (
        b'{"stream": "payments", "events": [{"amount": ' + b"1" * 5000 + b"}]}",
        "malformed",
        400,
        "the body is no JSON",
    ),
    (b'{"stream": "\xff", "events": []}', "malformed", 400, "the body is not UTF-8"),
    (b'{"stream": "\\ud800", "events": []}', "malformed", 400, "the body is not UTF-8"),
    (b'{"events": []}', "data", 422, "$.stream is not as expected"),
    (b'{"stream": "payments", "events": [], "more": 1}', "data", 422, "$.more is not as expected"),
    (b'{"stream": "nothing", "events": []}', "unknown", 404, "there is no such stream"),
    (b"[]", "data", 422, "$ is not as expected"),
    (b"", "malformed", 400, "the body is no JSON"),
]


@pytest.mark.parametrize(("body", "code", "status", "title"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_a_bad_body_is_a_problem(house: House, body: bytes, code: str, status: int, title: str) -> None:
    end = house.service.log.end()
    answer = house.http.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    told = answer.json()
    assert (answer.status_code, told["status"], told["code"], told["title"]) == (status, status, code, title)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == told["request_id"]
    assert house.service.log.end() == end


def test_forms_that_are_not_understood(house: House) -> None:
    for kind, code in (("text/csv", "unsupported-media-type"), ("application/x-ndjson", "malformed")):
        told = house.http.post("/v1/events", content=b"a,b", headers={"Content-Type": kind}).json()
        assert told["code"] == code
    packed = house.http.post("/v1/events", content=b"x", headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415
    broken = house.http.post(
        "/v1/events", content=b"x", params={"stream": "payments"},
        headers={"Content-Type": "application/vnd.apache.arrow.stream"},
    )  # fmt: skip
    assert broken.json()["title"] == "the body is no Arrow IPC stream"


@pytest.mark.parametrize("masked", [False, True])
def test_scores_written_column_by_column_are_those_written_one_by_one(tmp_path: Path, masked: bool) -> None:
    events = [pay(95_000 + i, i % 7, 100.0 + (i * 37 % 50) / 1_000) for i in range(50)]  # some come late
    with open_service(tmp_path) as service:
        taken = service.submit_rows("payments", events, size=5_000, refresh=True).result(20)
        serving = service.serving
        mask = Mask.of(serving.project) if masked else None
        assert taken.refreshes is not None
        one_by_one = [of_refresh(refresh, serving, mask) for refresh in taken.refreshes]
        assert of_events("payments", taken, serving, mask)["scores"] == one_by_one
        assert len(one_by_one) == 7
        assert any(one["moved"] for one in one_by_one)
