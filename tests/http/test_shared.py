"""Two servers as processes of their own that share their records in Postgres."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

import headwater as hw
from headwater.apps.anchors import ACTION
from headwater.apps.cli.exits import Exit
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.scale.postgres.credentials import PAUSE
from tests.http.process import Process, served
from tests.scale.redis.cases import address
from tests.store.hosts import Postgres, own_database


@pytest.fixture
def shared(services: Mapping[str, str]) -> Iterator[Postgres]:
    with own_database(services["HEADWATER_POSTGRES"]) as url, ExitStack() as stack:
        yield Postgres(url, stack)


def test_two_servers_decide_as_one(
    shop: Path,
    shared: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "url"
    file.write_text(shared.url + "\n", encoding="utf-8")
    other = Path(shutil.copytree(shop, tmp_path / "other"))
    told = {"HEADWATER_DATABASE_URL_FILE": str(file)}
    monkeypatch.setenv("HEADWATER_DATABASE_URL_FILE", str(file))

    def headwater(*args: str) -> tuple[int, str]:
        capfd.readouterr()
        return run(cli, list(args)), capfd.readouterr().out

    assert headwater("database", "status")[0] == Exit.STORE
    assert headwater("database", "upgrade")[0] == Exit.OK
    assert headwater("database", "status")[0] == Exit.OK
    with served(shop, **told) as one, served(other, **told) as two:
        with hw.Client(one.url) as a, hw.Client(two.url) as b:
            first = a.decide({"who": 3}, idempotency_key="order 1")
            again = b.decide({"who": 3}, idempotency_key="order 1")
            second = b.decide({"who": 4})
            assert (first.decision_id, second.decision_id) == ("d1", "d2")
            assert (again.decision_id, again.score) == (first.decision_id, first.score)
            assert a.decision("d2").band == second.band
            good = {
                "id": 99_001,
                "who": 1,
                "time": "2026-05-01T12:00:00Z",
                "amount": 1.0,
                "kind": "card",
                "name": "x",
            }
            taken = a.events("payments", [good, {**good, "id": 99_002, "amount": "much"}])
            assert (taken.accepted, taken.refused) == (1, 1)
            seen = httpx.get(f"{two.url}/v1/dead-letters").json()  # the other server's, once it was moved
            for _ in range(100):
                if seen["counts"]:
                    break
                seen = httpx.get(f"{two.url}/v1/dead-letters").json()
            assert sum(seen["counts"].values()) == 1
            asked = httpx.post(f"{one.url}/v1/jobs/alerts/run", json={"why": "A test."})
            assert asked.status_code < 300, asked.text
            listed = httpx.get(f"{two.url}/v1/jobs").json()
            assert "alerts" in json.dumps(listed)
        assert httpx.get(f"{one.url}/healthz").json()["database"] == "up"
        assert "headwater_database_up 1.0" in httpx.get(f"{one.url}/metrics").text
        assert one.end(signal.SIGTERM) == two.end(signal.SIGTERM) == 0
        for server in (one, two):
            assert server.process.stderr is not None
            assert shared.url.split(":")[2].split("@")[0] not in server.process.stderr.read()

    project = ("--project", str(shop))
    code, out = headwater("audit", "verify", *project, "--replay", "all", "--json")
    found = json.loads(out)
    assert (code, found["decisions"]["records"], found["replay"]["same"]) == (Exit.OK, 2, 2)
    code, out = headwater("audit", "trail", *project, "--json")
    acts = [entry["action"] for entry in json.loads(out)["entries"]]
    assert {ACTION, "job.run"} <= set(acts)

    shared.tamper(
        "UPDATE {decisions} SET record = replace(record, '\"who\":4', '\"who\":5') WHERE number = 2"
    )
    code, out = headwater("audit", "verify", *project)
    assert code == Exit.UNPROVEN
    assert f"where:    {shared.place}, record 2" in out


def test_one_key_opens_all_servers_and_none_once_it_is_revoked(
    shop: Path,
    shared: Postgres,
    services: Mapping[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One owns the log, one only decides; keys are made and revoked at a desk with a folder of its own."""
    monkeypatch.setenv("HEADWATER_DATABASE_URL", shared.url)
    online = address(services)
    assert online.password is not None
    told = {
        "HEADWATER_ONLINE": f"redis://{online.host}:{online.port}/0",
        "HEADWATER_ONLINE_PASSWORD": online.password.reveal(),
    }
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "desk"))
    other = Path(shutil.copytree(shop, tmp_path / "other"))

    def headwater(*args: str) -> Any:
        capfd.readouterr()
        code, out = run(cli, [*args, "--json"]), capfd.readouterr().out
        assert code == Exit.OK, out
        return json.loads(out)

    headwater("database", "upgrade")
    secret = headwater("keys", "create", "checkout", "--role", "decide")["secret"]
    headers = {"Authorization": f"Bearer {secret}"}
    body = {"keys": {"who": 3}}

    def asked(server: Process) -> int:
        return httpx.post(f"{server.url}/v1/decisions", json=body, headers=headers).status_code

    with (
        served(shop, HEADWATER_HOME=str(shop / ".headwater"), **told) as owner,
        served(
            other,
            *("--role", "decide", "--host", "0.0.0.0"),  # noqa: S104 - with keys alone
            HEADWATER_HOME=str(other / ".headwater"),
            **told,
        ) as replica,
    ):
        both = owner, replica
        assert [until(200, partial(asked, one)) for one in both]
        assert [httpx.post(f"{one.url}/v1/decisions", json=body).status_code for one in both] == [401, 401]
        later = headwater("keys", "create", "later", "--role", "decide")["secret"]
        time.sleep(1.1 * PAUSE / 1e6)  # a look that was made just before is good for so long
        for one in both:  # at once, by the look that an unknown secret is worth
            answered = httpx.get(f"{one.url}/v1/models", headers={"Authorization": f"Bearer {later}"})
            assert answered.status_code == 200
        headwater("keys", "revoke", "checkout")
        start = time.monotonic()
        assert [until(401, partial(asked, one)) for one in both]
        assert time.monotonic() - start < 5.0
        answered = httpx.post(f"{replica.url}/v1/decisions", json=body, headers=headers)
        assert answered.json()["code"] == "credential-revoked"
        assert [one.end(signal.SIGTERM) for one in both] == [0, 0]
    keys = {key["name"]: key["used"] for key in headwater("keys", "list", "--all")["keys"]}
    assert None not in keys.values()
    found = headwater("audit", "verify", "--project", str(shop), "--data", str(shop / ".headwater"))
    assert (found["sound"], found["shared_keys"], found["keys"]) == (True, 2, None)
    acts = [entry["action"] for entry in headwater("audit", "trail", "--action", "key")["entries"]]
    assert acts == ["key.revoke", "key.create", "key.create"]


def until(status: int, ask: Callable[[], int]) -> bool:
    """Whether a status comes within ten seconds."""
    end = time.monotonic() + 10
    while (found := ask()) != status:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return True
