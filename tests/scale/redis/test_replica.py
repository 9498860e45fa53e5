"""A server that only decides: over HTTP, recorded, sent on, and made again where the log is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import headwater as hw
from headwater.apps.http.app import create_app
from headwater.apps.http.online import OwnerMetrics, ReplicaMetrics
from headwater.apps.http.parts import Part
from headwater.apps.online import Online
from headwater.scale.redis.connection import Address
from headwater.scale.redis.vectors import OnlineVectors
from headwater.serving.making import Making, Wanted
from headwater.serving.replay import replay
from headwater.serving.replica import Replica
from headwater.serving.service import Service
from headwater.store.folder import DataFolder
from tests.http.house import Faults, listening
from tests.http.test_events import pay
from tests.scale.redis.cases import address, owner, project, published
from tests.scale.redis.server import server
from tests.serving.bank import scoring


@contextmanager
def replica(
    folder: Path, at: Address, of: hw.Project, now: Callable[[], int]
) -> Iterator[tuple[Replica, str]]:
    """A server that decides, and its address."""
    hooks = Faults()
    vectors, seen = Online(Part.DECIDE, at).reading()
    hooks.metrics.registry.register(ReplicaMetrics(lambda: seen, now))
    with Replica.open(
        of,
        DataFolder(folder),
        {"risk": scoring()},
        vectors,
        clock=now,
        stopwatch=time.perf_counter_ns,
        hooks=hooks,
    ) as service:
        app = create_app(service, time.perf_counter_ns, metrics=hooks.metrics, part=Part.DECIDE)
        with listening(app) as url:
            yield service, url


@pytest.fixture
def redis(services: Mapping[str, str]) -> Address:
    return address(services)


def test_replicas_decide_and_the_owner_makes_it_again(redis: Address, tmp_path: Path) -> None:
    of = project()
    with (
        owner(tmp_path / "owner", redis, of) as (service, publisher, _),
        replica(tmp_path / "one", redis, of, service.now) as (one, first),
        replica(tmp_path / "two", redis, of, service.now) as (_two, second),
    ):
        for turn in range(6):
            events = [pay(97_000 + 10 * turn + i, who, 100.3) for i, who in enumerate((turn, 777))]
            service.submit_rows("payments", events, size=100).result(20)
            published(service, publisher)
            own = service.decide("lend", {"who": turn})
            for url in (first, second):
                answered = httpx.post(f"{url}/v1/decisions", json={"policy": "lend", "keys": {"who": turn}})
                assert answered.status_code == 200, answered.text
                assert answered.json()["score"] == own.decision.score
                assert answered.json()["offset"] == service.offset
        records = one.decisions.page(limit=100)
        assert len(records) == 6
        for record in records:
            found = replay(record.decision, service.log, service.serving.policy("lend"))
            assert found.same, found.words()
        features = httpx.get(f"{first}/v1/features/spending/3").json()
        own_read = service.features("spending", 3)
        assert features["features"]["n_7d"] == own_read.values["n_7d"]
        stranger = httpx.get(f"{first}/v1/features/spending/123456").json()
        assert stranger["features"]["n_7d"] == 0
        page = httpx.get(f"{first}/metrics").text
        assert "headwater_online_whole 1.0" in page
        assert "headwater_online_refused_total 0.0" in page


def test_a_turn_of_decisions_is_one_round_trip(redis: Address, tmp_path: Path) -> None:
    of = project()
    with (
        owner(tmp_path / "owner", redis, of) as (service, publisher, _),
        replica(tmp_path / "one", redis, of, service.now) as (one, _url),
    ):
        published(service, publisher)
        one.decide("lend", {"who": 1})  # the texts are known now
        vectors = one.serving.vectors
        assert isinstance(vectors, OnlineVectors)
        wanted = [Wanted("lend", {"who": who}, {}) for who in (3, 4, 3, 123456, 5)]
        before = vectors._source.seen.fetches
        made = Making(lambda: one.serving, one.now, Faults().on_fault)(wanted)
        assert vectors._source.seen.fetches == before + 1
        own = Making(lambda: service.serving, service.now, Faults().on_fault)(wanted)
        for mine, other in zip(made, own, strict=True):
            assert not isinstance(mine, Exception)
            assert not isinstance(other, Exception)
            assert mine[1] == other[1]
            assert mine[0].x.tobytes() == other[0].x.tobytes()


def test_what_is_another_servers_is_sent_on(redis: Address, tmp_path: Path) -> None:
    of = project()
    with (
        owner(tmp_path / "owner", redis, of) as (service, publisher, _),
        replica(tmp_path / "one", redis, of, service.now) as (one, url),
    ):
        published(service, publisher)
        for method, path in [
            ("POST", "/v1/events"),
            ("GET", "/v1/late"),
            ("GET", "/v1/dead-letters"),
            ("GET", "/v1/scores/stream"),
            ("POST", "/v1/models/risk/promote"),
            ("POST", "/v1/decisions/d1/replay"),
            ("POST", "/v1/backtests"),
            ("GET", "/v1/jobs"),
        ]:
            answered = httpx.request(method, url + path)
            assert (answered.status_code, answered.json()["code"]) == (421, "misdirected"), path
        assert answered.json()["detail"] == (
            "another server answers this\n"
            "  expected: a server with the role ingest, or all\n"
            "  got:      one with the role decide\n"
            "  do:       send it to the address of the servers with the role ingest"
        )
        for path in ("/v1/models", "/v1/policies", "/v1/plan", "/v1/decisions", "/healthz", "/readyz"):
            assert httpx.get(url + path).status_code == 200, path
        with listening(create_app(one, time.perf_counter_ns)) as all_of_it:  # nobody told it of its part
            told = httpx.post(f"{all_of_it}/v1/events", json={"stream": "payments", "events": []})
            assert (told.status_code, told.json()["code"]) == (421, "misdirected")
            assert told.json()["detail"] == (
                "the log is with another server\n"
                "  expected: a server with the role ingest or all\n"
                "  got:      one with the role decide\n"
                "  do:       send it to the server that owns the log"
            )
        app = create_app(service, time.perf_counter_ns, part=Part.INGEST)
        with listening(app) as ingest:
            told = httpx.post(f"{ingest}/v1/decisions", json={})
            assert (told.status_code, told.json()["code"]) == (421, "misdirected")
            assert httpx.get(f"{ingest}/v1/decisions").status_code == 200


@pytest.mark.usefixtures("services")
def test_nothing_is_decided_while_the_store_is_not_whole(tmp_path: Path) -> None:
    of = project()
    asked = {"policy": "lend", "keys": {"who": 3}}
    with server() as own, replica(tmp_path / "one", own.address, of, lambda: 0) as (_, url):
        refused = httpx.post(f"{url}/v1/decisions", json=asked)
        assert (refused.status_code, refused.json()["code"]) == (503, "online")
        assert refused.headers["retry-after"] == "1"
        assert httpx.get(f"{url}/readyz").status_code == 503
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert "headwater_online_refused_total 1.0" in httpx.get(f"{url}/metrics").text
        with owner(tmp_path / "owner", own.address, of) as (service, publisher, _hooks):
            published(service, publisher)
            assert httpx.get(f"{url}/readyz").status_code == 200
            own.stop()
            refused = httpx.post(f"{url}/v1/decisions", json=asked)
            assert (refused.status_code, refused.json()["code"]) == (503, "online")
            own.start()
        assert _records(tmp_path / "one") == 0


def _records(folder: Path) -> int:
    from headwater.store.decisions import DecisionStore

    with DecisionStore.open(DataFolder(folder).decisions) as store:
        return len(store.page(limit=10))


def test_an_owner_tells_what_it_published(redis: Address, tmp_path: Path) -> None:
    of = project()
    with owner(tmp_path, redis, of) as (service, publisher, _):
        published(service, publisher)
        service.submit_rows("payments", [pay(98_000, 3, 100.4)], size=1).result(20)
        published(service, publisher)
        assert isinstance(service, Service)
        metrics = {
            one.name: one.samples[0].value
            for one in OwnerMetrics(
                lambda: publisher.published, service.now, lambda: service.offset
            ).collect()
        }
        assert metrics["headwater_online_lag_events"] == 0
        assert metrics["headwater_online_published_keys"] == 1
        assert metrics["headwater_online_fillings"] == 1
