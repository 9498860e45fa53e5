"""A personal value is planted wherever one can come in, and looked for in everything that goes out.

::

    events, refused events, decisions, late events      answers of every route, to every role below admin
    keys in addresses, features, reasons           ──►  the score stream, the log, metrics, traces

Every documented route is in the table below, or the test fails.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

import headwater as hw
from headwater.apps.access.door import Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.http import logs
from headwater.apps.http.app import ROLES
from headwater.apps.http.hooks import Watching
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.traces import Traces
from headwater.apps.masking import Mask
from headwater.core.instant import iso
from headwater.core.schema import PERSONAL
from headwater.log.embedded import EmbeddedLog
from headwater.serving.scoring import Scoring
from headwater.store.credentials import CredentialStore, Role
from headwater.testing import ManualClock, at
from headwater.training.train import Plan, train
from tests.http.collector import Collector, collecting
from tests.http.house import House, serving
from tests.serving.bank import CLOCK, DAY, micros

WHO = "Zebulon Quux-4711"
PAY = 98765432.25
PLANTED = ("Zebulon", "Quux-4711", "98765432")

PEOPLE = hw.Stream(
    "people",
    {"id": pl.Int64, "who": pl.String, "time": CLOCK, "pay": pl.Float64, "amount": pl.Float64},
    id="id",
    personal=["who", "pay"],
)
VIEW = hw.FeatureView(
    "person",
    PEOPLE,
    "who",
    {"pay": hw.last("pay"), "most": hw.max("pay", over="30d"), "spent": hw.sum("amount", over="7d")},
)
RISK = hw.Model(
    "risk",
    features=[VIEW],
    derived={"share": pl.col("spent_7d") / pl.col("pay")},
    label=hw.happens(PEOPLE, pl.col("amount") > 60, within="10d"),
    observe=hw.each(PEOPLE),
    estimator=HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=7, random_state=0),
)
LEND = hw.Policy(
    "lend", RISK, bands={"yes": 0.0, "no": 0.4}, reasons={"pay": "The pay", "most_30d": "The pay"}
)
STRICT = hw.Policy(
    "strict",
    RISK,
    bands={"perhaps": 0.0, "never": 0.999},
    reasons=dict.fromkeys(("pay", "most_30d", "spent_7d", "share"), "Too much"),
)
PROJECT = hw.Project("lender", models=[RISK], policies=[LEND, STRICT])


@cache
def history() -> pl.DataFrame:
    random = np.random.default_rng(3)
    n = 600
    pay = random.uniform(10, 60, n)
    frame = {
        "id": np.arange(n),
        "who": [f"person {one}" for one in random.integers(0, 20, n)],
        "time": pl.Series(np.sort(micros(0) + random.integers(0, 99 * DAY, n))).cast(CLOCK),
        "pay": pay,
        "amount": random.gamma(2.0, pay),
    }
    return pl.DataFrame(frame, schema=dict(PEOPLE.schema))


@cache
def scoring() -> Scoring:
    made = train(PROJECT, None, {"people": history()}, None, now=0, plan=Plan(bootstrap=0))
    return Scoring(RISK, made.artifact, "digest", made.scorer)


@dataclass
class Place:
    """A service with keys, traces and a log, in which somebody has planted."""

    house: House
    secrets: dict[Role, str]
    collector: Collector
    traces: Traces
    log: io.StringIO
    made: dict[str, str] = field(default_factory=dict)

    def ask(self, role: Role, method: str, path: str, **kw: Any) -> httpx.Response:
        head = {"Authorization": f"Bearer {self.secrets[role]}", **kw.pop("headers", {})}
        return self.house.http.request(method, path, headers=head, **kw)


def event(id: int, day: float, **changes: Any) -> dict[str, Any]:
    when = iso(int(micros(day)))
    return {"id": id, "who": WHO, "time": when, "pay": PAY, "amount": 5.0} | changes


def bad() -> list[Any]:
    """Events that are refused, one for each way to be."""
    return [
        event(9_001, 99, pay=f"{PAY} a year"),
        event(9_002, 99, who=None),
        event(9_003, 99, amount="much"),
        event(9_004, 99, time=None),
        event(9_005, 99, time="2026-03-01T10:00:00"),
        event(9_006, 400),
        event(9_007, 99, whoo=WHO),
        event(9_008, 99, pay={"first": WHO, "then": [PAY]}),
        event(8_001, 99, pay=PAY + 1, amount=7.0),  # the id is known with other content
        [WHO, PAY],
        f"{WHO},{PAY}",
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("lender")
    with EmbeddedLog.open(folder / "events.log", PROJECT.streams) as log:
        log.append("people", history(), arrival=history()["time"].to_physical().to_numpy())
    secrets = {}
    with CredentialStore.open(folder / "access.db") as store:
        for role in Role:
            secrets[role] = store.create(role, [role], now=0, actor="test")[1].reveal()
    before = {name: logging.getLogger(name) for name in ("headwater", "uvicorn")}
    kept = {name: (one.handlers[:], one.propagate, one.level) for name, one in before.items()}
    lines = io.StringIO()
    logs.set_up("debug", lines, Mask.of(PROJECT))
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        traces = stack.enter_context(Traces("0", time.perf_counter_ns))
        access = stack.enter_context(
            Access.open(
                AccessSettings.read({}), folder / "access.db", host="127.0.0.1",
                clock=ManualClock(1), stopwatch=lambda: 0,
            )
        )  # fmt: skip
        around = {"access": access, "traced": traces.around}
        house = stack.enter_context(
            serving(folder, project=PROJECT, scorings={"risk": scoring()}, around=around)
        )
        made = Place(house, secrets, collector, traces, lines)
        plant(made)
        yield made
    for name, one in before.items():
        one.handlers[:], one.propagate, one.level = kept[name]


def plant(place: Place) -> None:
    """Events in order, one late, all that can be refused, a decision, and a backtest."""
    first = [event(8_001, 90), event(8_002, 95), event(8_003, 99)]
    sent = place.ask(Role.ADMIN, "POST", "/v1/events", json={"stream": "people", "events": first})
    assert sent.json()["accepted"] == 3
    decided = place.ask(Role.ADMIN, "POST", "/v1/decisions", json={"policy": "lend", "keys": {"who": WHO}})
    place.made["decision"] = decided.json()["decision_id"]
    late = [event(8_004, 94, pay=2 * PAY, amount=300.0)]
    place.ask(Role.ADMIN, "POST", "/v1/events", json={"stream": "people", "events": late})
    refused = place.ask(Role.ADMIN, "POST", "/v1/events", json={"stream": "people", "events": bad()})
    assert refused.json()["refused"] == len(bad())
    place.house.monitors.round()
    asked = {"with": {"policy": "strict"}, "of": "risk"}
    job = place.ask(Role.ADMIN, "POST", "/v1/backtests", json=asked)
    place.made["job"] = job.json()["id"]


def frame() -> bytes:
    body = io.BytesIO()
    when = at() + timedelta(days=99)
    rows = [{"id": 9_101 + i, "who": who, "time": when, "pay": pay, "amount": 1.0}
            for i, (who, pay) in enumerate([(WHO, PAY), (None, PAY), (WHO, float("nan"))])]  # fmt: skip
    pl.DataFrame(rows, schema=dict(PEOPLE.schema)).write_ipc_stream(body)
    return body.getvalue()


KEY = quote(WHO)
NDJSON = "\n".join(json.dumps(one) for one in [event(8_020, 99), *bad()])
ARROW = "application/vnd.apache.arrow.stream"
Asks = Callable[[Place], list[dict[str, Any]]]


def _events(_place: Place) -> list[dict[str, Any]]:
    both = [event(8_010, 99), *bad()]
    return [
        {"json": {"stream": "people", "events": both}, "params": {"refresh": "true"}},
        {"json": {"stream": "people", "events": {"who": WHO}}},
        {"json": {"stream": "people", "events": both, WHO[:3]: 1}},
        {"content": f'{{"stream": "people", "events": [{{"who": "{WHO}"'},
        {"content": NDJSON, "params": {"stream": "people", "refresh": "true"},
         "headers": {"Content-Type": "application/x-ndjson"}},
        {"content": frame(), "params": {"stream": "people", "refresh": "true"},
         "headers": {"Content-Type": ARROW}},
    ]  # fmt: skip


def _decisions(_place: Place) -> list[dict[str, Any]]:
    return [
        {"json": {"policy": "lend", "keys": {"who": WHO}}},
        {"json": {"policy": "lend", "keys": {"who": WHO}}, "headers": {"Idempotency-Key": "one"}},
        {"json": {"policy": "strict", "keys": {"who": WHO}}, "headers": {"Idempotency-Key": "one"}},
        {"json": {"policy": "lend", "keys": {"who": [WHO]}}},
        {"json": {"policy": "lend", "keys": {"who": WHO}, "request": {"pay": PAY}}},
        {"json": {"policy": "lend", "keys": {"who": WHO}, "at": "2126-01-01T00:00:00Z"}},
        {"json": {"policy": "lend", "keys": WHO}},
    ]


def _keyed(_place: Place) -> list[dict[str, Any]]:
    return [{"params": {"key": WHO}}, {}]


def _replays(_place: Place) -> list[dict[str, Any]]:
    return [{}, {"json": {"with": {"policy": "strict"}}}]


def _backtests(_place: Place) -> list[dict[str, Any]]:
    return [{"json": {"with": {"policy": "strict"}, "of": "risk", "key": WHO}}]


def _plain(_place: Place) -> list[dict[str, Any]]:
    return [{}]


ROUTES: dict[str, Asks] = {
    "POST /v1/events": _events,
    "POST /v1/decisions": _decisions,
    "GET /v1/decisions": _keyed,
    "GET /v1/decisions/{decision_id}": _plain,
    "POST /v1/decisions/{decision_id}/replay": _replays,
    "GET /v1/features/{view}/{key}": lambda _: [{}, {"params": {"at": "1999-01-01T00:00:00Z"}}],
    "GET /v1/late": _keyed,
    "GET /v1/entities/{key}/timeline": lambda _: [{"params": {"limit": "50"}}],
    "POST /v1/backtests": _backtests,
    "GET /v1/backtests/{id}": _plain,
    "DELETE /v1/backtests/{id}": _plain,
    "GET /v1/dead-letters": lambda _: [{"params": {"limit": "1000"}}, {"params": {"reason": "conflict"}}],
    "POST /v1/dead-letters/redrive": lambda _: [{"json": {"limit": 1000}}],
    "GET /v1/models": _plain,
    "GET /v1/policies": _plain,
    "GET /v1/plan": _plain,
    "GET /v1/definitions": _plain,
    "GET /v1/definitions/{hash}": _plain,
    "POST /v1/reload": _plain,
    "GET /healthz": _plain,
    "GET /readyz": _plain,
    "GET /metrics": _plain,
    "GET /v1/scores/stream": _plain,
    "GET /v1/shadow": _plain,
    "GET /v1/jobs": _plain,
    "GET /v1/jobs/{id}": _plain,
    "POST /v1/jobs/{name}/run": _plain,
    "GET /v1/models/{model}/gate": _plain,
    "POST /v1/models/{model}/promote": _plain,
    "POST /v1/models/{model}/rollback": _plain,
}
OF_MODELS = frozenset(  # they tell of versions and runs, of nobody; this place has no registry and no jobs
    {"GET /v1/jobs", "GET /v1/jobs/{id}", "GET /v1/models/{model}/gate"}
)


def address(place: Place, path: str) -> str:
    """A route's address, about whom it was planted."""
    parts = {"decision_id": place.made["decision"], "view": "person", "key": KEY, "id": place.made["job"]}
    parts |= {"model": "risk", "name": "retrain.risk"}
    if "{hash}" in path:
        parts["hash"] = place.house.service.definitions.all()[0].digest
    return path.format(**parts)


def found(text: str) -> list[str]:
    return [one for one in PLANTED if one in text]


def test_the_table_has_every_route(place: Place) -> None:
    document = place.house.http.get("/openapi.json").json()
    told = {f"{how.upper()} {path}" for path, one in document["paths"].items() for how in one}
    assert told == set(ROUTES)


@pytest.mark.parametrize("role", [Role.INGEST, Role.DECIDE, Role.ANALYST])
@pytest.mark.parametrize("route", [one for one in ROUTES if one != "GET /v1/scores/stream"])
def test_no_answer_below_admin_tells_it(place: Place, route: str, role: Role) -> None:
    method, path = route.split()
    for asked in ROUTES[route](place):
        answer = place.ask(role, method, address(place, path), **asked)
        assert answer.status_code < 500
        assert found(answer.text) == [], f"{answer.status_code} {answer.text[:300]}"
        assert found(str(answer.headers)) == []


def test_each_route_is_reached_by_some_role_below_admin(place: Place) -> None:
    """The test above is worth something only if it sees answers, not refusals."""
    routes: list[tuple[Any, str | None]] = [(one, role) for router, role in ROLES for one in router.routes]
    needs = {f"{how} {one.path}": role for one, role in routes for how in one.methods}
    for route, role in needs.items():
        if role in (None, "admin") or route in OF_MODELS | {"GET /v1/scores/stream"}:
            continue
        method, path = route.split()
        answers = [place.ask(Role(role), method, address(place, path), **one) for one in ROUTES[route](place)]
        assert any(answer.is_success for answer in answers), route


def test_the_score_stream_does_not_tell_it(place: Place) -> None:
    head = {"Authorization": f"Bearer {place.secrets[Role.ANALYST]}"}
    with httpx.stream("GET", f"{place.house.url}/v1/scores/stream", headers=head, timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": listening"
        sent = {"stream": "people", "events": [event(8_500, 99.5)]}
        assert place.ask(Role.INGEST, "POST", "/v1/events", json=sent).json()["accepted"] == 1
        data = next(line for line in lines if line.startswith("data: "))
    assert json.loads(data.removeprefix("data: "))["keys"] == {"who": PERSONAL}


def test_administrators_see_it(place: Place) -> None:
    """So that the tests above look for what is really there."""
    decided = place.ask(Role.ADMIN, "GET", f"/v1/decisions/{place.made['decision']}")
    assert decided.json()["keys"] == {"who": WHO}
    assert decided.json()["features"]["pay"] == PAY
    letters = place.ask(Role.ADMIN, "GET", "/v1/dead-letters?limit=1000").json()["letters"]
    assert len(found(" ".join(letter["event"] for letter in letters))) == len(PLANTED)
    assert found(" ".join(letter["message"] for letter in letters)) == []


def test_masked_answers_say_that_something_is_there(place: Place) -> None:
    decided = place.ask(Role.ANALYST, "GET", f"/v1/decisions/{place.made['decision']}").json()
    assert decided["keys"] == {"who": PERSONAL}
    assert decided["features"]["pay"] == decided["features"]["share"] == PERSONAL
    assert isinstance(decided["features"]["spent_7d"], float)
    asked = {"stream": "people", "events": [event(8_600, 99)]}
    sent = place.ask(Role.INGEST, "POST", "/v1/events?refresh=true", json=asked).json()
    assert [score["keys"] for score in sent["scores"]] == [{"who": PERSONAL}]


def test_replays_say_what_differs_and_not_by_how_much(place: Place) -> None:
    """Another policy tells other reasons, and these quote the values of features."""
    path = f"/v1/decisions/{place.made['decision']}/replay"
    asked = {"with": {"policy": "strict"}}
    seen = place.ask(Role.ANALYST, "POST", path, json=asked).json()
    assert [one["what"] for one in seen["differences"]] == ["the band", "the reasons"]
    told = place.ask(Role.ADMIN, "POST", path, json=asked).json()
    assert PERSONAL not in json.dumps(told)
    reasons = seen["differences"][1]
    assert (reasons["then"], reasons["now"]) == (PERSONAL, PERSONAL)


def test_neither_log_nor_metrics_nor_traces_tell_it(place: Place) -> None:
    for route, asks in ROUTES.items():
        method, path = route.split()
        if route not in ("GET /v1/scores/stream", "POST /v1/dead-letters/redrive"):
            for asked in asks(place):
                place.ask(Role.ADMIN, method, address(place, path), **asked)
    Watching(Metrics()).on_fault("score", ValueError(f"cannot score {WHO} with {PAY}"))
    logging.getLogger("headwater.http").warning(
        "told", extra={"pay": PAY, "most_30d": PAY, "deep": {"who": WHO}}
    )
    place.house.monitors.round()
    place.traces.flush()
    lines = place.log.getvalue()
    assert lines.count('"message": "request"') > 20
    assert '"fault"' in lines
    assert found(lines) == []
    page = place.house.faults.metrics.page().decode()
    assert "headwater_requests_total" in page
    assert found(page) == []
    raw = b"".join(place.collector.raw).decode("latin-1")
    assert "POST /v1/decisions" in raw
    assert found(raw) == []


def test_the_log_follows_the_project(place: Place) -> None:
    """A reload may make a column personal, and a column that was personal stays hidden."""
    stream = io.StringIO()
    masked = logs.set_up("info", stream, Mask([PEOPLE]))
    log = logging.getLogger("headwater.http")
    try:
        masked.follow(Mask([hw.Stream("towns", {"town": pl.String, "time": CLOCK}, personal=["town"])]))
        log.info("told", extra={"town": "Quux", "pay": PAY})
    finally:
        logs.set_up("debug", place.log, Mask.of(PROJECT))
    assert found(stream.getvalue()) == []
    assert json.loads(stream.getvalue())["town"] == PERSONAL


def test_letters_with_personal_values_are_sent_again_by_an_administrator(place: Place) -> None:
    """Refused for its time, and welcome once the clock has got there."""
    soon = event(8_700, 101)
    sent = place.ask(Role.INGEST, "POST", "/v1/events", json={"stream": "people", "events": [soon]}).json()
    assert sent["results"][0]["reason"] == "in-the-future"
    assert place.ask(Role.ANALYST, "POST", "/v1/dead-letters/redrive", json={}).status_code == 403
    place.house.clock.advance(DAY)
    asked = {"reason": "in-the-future", "stream": "people", "limit": 1000}
    again = place.ask(Role.ADMIN, "POST", "/v1/dead-letters/redrive", json=asked).json()
    assert again["taken"] == 1
    end = place.house.service.log.end()
    (batch,) = place.house.service.log.scan(["people"], start=end - 1)
    assert batch.frame["who"].to_list() == [WHO]
    assert batch.frame["pay"].to_list() == [PAY]
