"""The database goes away in the middle of the work, and comes back: what was acknowledged is there, once.

::

    senders   ──200──200──503 503 503 ... 503──200──200──►   a key is sent again until it is answered
    database  ────────────X  crash       start ────────►     away for HEADWATER_AWAY seconds (here 2)
    /readyz   ──200────────503─────────────────200─────►     by itself
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from headwater.apps.database import DatabaseSettings
from headwater.apps.http.server import beside
from headwater.apps.stores import records_of
from headwater.core.secret import Secret
from headwater.scale.postgres.door import Address, Database, PostgresDecisions, upgrade
from headwater.serving.service import Service
from tests.http.house import Faults, House, serving
from tests.scale.postgres.conftest import Own
from tests.store.cases import decision

AWAY = float(os.environ.get("HEADWATER_AWAY", "2"))
pytestmark = pytest.mark.services


@contextmanager
def server(folder: Path, url: str) -> Iterator[House]:
    """A server whose records are in the database, and which looks for that as ``headwater serve`` does."""
    with records_of(folder, DatabaseSettings(Secret(url), patience=0.2)) as records:

        def also(service: Service, _stack: ExitStack, faults: Faults) -> Mapping[str, Any]:
            looks = {"database": (0.1, records.look)}
            lifespan = beside(service, 300.0, faults.metrics, faults, often=looks)
            return {"records": records, "lifespan": lifespan}

        with serving(folder, also=also, decisions=records.decisions()) as house:
            yield house


def until_answered(house: House, key: str | None, who: int, stop: Event) -> tuple[str, list[httpx.Response]]:
    """Send a decision until it is acknowledged: its id, and the answers that were none."""
    refused: list[httpx.Response] = []
    headers = {} if key is None else {"Idempotency-Key": key}
    while True:
        answer = house.http.post("/v1/decisions", json={"keys": {"who": who}}, headers=headers)
        if answer.status_code == 200:
            return answer.json()["decision_id"], refused
        refused.append(answer)
        stop.wait(0.02)


def status(house: House) -> int:
    return house.http.get("/readyz").status_code


def wait_for(house: House, wanted: int) -> None:
    stop = time.monotonic() + 20
    while status(house) != wanted:
        assert time.monotonic() < stop, f"/readyz is not {wanted}"
        time.sleep(0.05)


def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(own: Own, tmp_path: Path) -> None:
    database = Database(Address.read(Secret(own.url)))
    upgrade(database)
    with server(tmp_path / "a", own.url) as a, server(tmp_path / "b", own.url) as b:
        stop, acknowledged, bare, refused = Event(), dict[str, str](), list[str](), list[httpx.Response]()

        def send(sender: int) -> None:
            n = 0
            while not stop.is_set():
                n += 1
                house = (a, b)[(sender + n) % 2]  # the next try may reach another server
                key = f"{sender}-{n}" if sender % 2 else None
                found, odd = until_answered(house, key, n % 5, stop)
                refused.extend(odd)
                if key is None:
                    bare.append(found)
                    continue
                acknowledged[key] = found
                again, odd = until_answered((b, a)[(sender + n) % 2], key, n % 5, stop)  # sent twice
                refused.extend(odd)
                assert again == found

        with ThreadPoolExecutor(4) as pool:
            sending = [pool.submit(send, sender) for sender in range(4)]
            try:
                time.sleep(0.5)
                own.crash()
                wait_for(a, 503)
                wait_for(b, 503)
                before = len(acknowledged) + len(bare)
                time.sleep(AWAY)
                assert len(acknowledged) + len(bare) == before, "nobody acknowledges what is not recorded"
                own.start()
                wait_for(a, 200)
                wait_for(b, 200)
                time.sleep(0.5)
            finally:
                stop.set()
            for one in sending:
                one.result(30)
        assert len(acknowledged) + len(bare) > before
        _told_why(refused)
    with PostgresDecisions(database) as store:
        count = store.verify()
        assert {store.get(found).id for found in bare} == set(bare)
        assert len(set(bare)) == len(bare), "two requests without a key are two decisions"
        with database.reading() as connection:
            asked = "SELECT key, 'd' || number FROM headwater.decision_requests"
            recorded = {row[0]: row[1] for row in connection.exec_driver_sql(asked)}
        assert recorded == acknowledged, "each key once, as it was answered"
        assert count >= len(bare) + len(acknowledged)
    database.close()


def _told_why(refused: list[httpx.Response]) -> None:
    codes = {answer.json()["code"] for answer in refused}
    assert {answer.status_code for answer in refused} <= {503, 429}
    assert "store-unavailable" in codes
    assert codes <= {"store-unavailable", "overloaded"}
    one = next(answer for answer in refused if answer.json()["code"] == "store-unavailable")
    assert one.headers["Retry-After"] == "1"
    assert one.headers["Content-Type"] == "application/problem+json"
    assert one.json()["title"] == "the database is away"
    assert "of-a-test" not in one.text


def test_a_short_absence_is_bridged(own: Own) -> None:
    """With patience, nobody notices but by the wait."""
    database = Database(Address.read(Secret(own.url)), patience=30.0)
    upgrade(database)
    with ThreadPoolExecutor(1) as pool, PostgresDecisions(database) as store:
        store.append([decision()], ["a"])
        own.crash()
        later = pool.submit(store.append, [decision(), decision()], ["a", "b"])
        time.sleep(0.3)
        own.start()
        assert [one.id for one in later.result(30)] == ["d1", "d2"]
        assert (store.verify(), database.away) == (2, None)
    database.close()
