"""Servers as processes, each with a part of the work: one ingests, one decides, a younger one takes over."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import httpx
import pytest

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.online import Online
from headwater.core.errors import DataError
from headwater.scale.redis.connection import Address
from tests.http.process import served
from tests.http.test_process import pay
from tests.letters import says
from tests.scale.redis.server import PASSWORD, server

AT = "2026-05-20T00:00:00Z"


@pytest.mark.usefixtures("services")
def test_one_ingests_one_decides_and_a_younger_one_takes_over(shop: Path, tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(shop, tmp_path / name)) for name in ("replica", "younger")]
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
    with server() as redis:
        url = str(redis.address)
        set_ = {"HEADWATER_ONLINE": url, "HEADWATER_ONLINE_PASSWORD_FILE": str(secret)}
        with served(shop, "--role", "ingest", **set_) as owner:
            _ready(owner.url)
            with served(copies[0], HEADWATER_ROLE="decide", **set_) as replica:
                assert (replica.banner["role"], replica.banner["whole"]) == ("decide", True)
                event = httpx.post(
                    f"{owner.url}/v1/events", json={"stream": "payments", "events": [pay(91_000, 3)]}
                )
                assert event.status_code == 200, event.text
                asked = {"policy": "risk_policy", "keys": {"who": 3}, "at": AT}
                offset = event.json()["results"][0]["offset"]
                _published(owner.url)
                made = httpx.post(f"{replica.url}/v1/decisions", json=asked)
                assert made.status_code == 200, made.text
                assert made.json()["offset"] == offset
                sent_on = httpx.post(f"{owner.url}/v1/decisions", json=asked)
                assert (sent_on.status_code, sent_on.json()["code"]) == (421, "misdirected")
                assert httpx.get(f"{replica.url}/readyz").status_code == 200
                with served(copies[1], "--online", url, HEADWATER_ONLINE_PASSWORD=PASSWORD) as younger:
                    assert owner.process.wait(30) == 5
                    assert owner.process.stdout is not None
                    assert owner.process.stderr is not None
                    told = json.loads(owner.process.stdout.read())["error"]
                    assert (told["code"], told["exit"]) == ("fenced", 5)
                    assert told["problems"][0]["what"] == "another server owns the online store"
                    assert PASSWORD not in owner.process.stderr.read()
                    _ready(younger.url)
                    assert httpx.get(f"{replica.url}/readyz").status_code == 200
                    assert httpx.post(f"{younger.url}/v1/decisions", json=asked).status_code == 200
    again = ["replay", "d1", "--project", str(shop), "--records", str(copies[0] / ".headwater")]
    assert run(cli, again) == 0  # by the log of the one that ingested


def _ready(url: str) -> None:
    _metric(url, "headwater_online_whole 1.0")


def _published(url: str) -> None:
    _metric(url, "headwater_online_lag_events 0.0")


def _metric(url: str, line: str) -> None:
    end = time.monotonic() + 20
    while line not in httpx.get(f"{url}/metrics").text.splitlines():
        assert time.monotonic() < end, line
        time.sleep(0.02)


def test_a_part_without_a_store_is_refused() -> None:
    with says(
        DataError,
        """
        a server with the role decide needs the online store
          expected: its address, redis://host:port/database
          got:      none
          where:    HEADWATER_ONLINE
          do:       give --online, or set HEADWATER_ONLINE
        """,
    ):
        Online.read({}, part="decide")


def test_a_part_that_there_is_not_is_refused() -> None:
    with says(
        DataError,
        """
        the setting HEADWATER_ROLE cannot be read
          expected: all, ingest, decide
          got:      'write'
          do:       correct the environment variable, or unset it
        """,
    ):
        Online.read({"HEADWATER_ROLE": "write"})


@pytest.mark.parametrize(
    ("url", "got"),
    [
        ("redis://:hunter2@cache", "an address with a password in it"),
        ("http://cache", "something else"),
        ("redis://cache:port", "something else"),
        ("redis://cache/first", "something else"),
    ],
)
def test_an_address_that_cannot_be_read(url: str, got: str) -> None:
    with says(
        DataError,
        f"""
        the address of the online store cannot be read
          expected: redis://[user@]host[:port][/database], or rediss:// for TLS
          got:      {got}
          where:    HEADWATER_ONLINE
          do:       give the address; the password goes into HEADWATER_ONLINE_PASSWORD or a file
        """,
    ):
        Online.read({"HEADWATER_ONLINE": url})


def test_what_is_set_of_redis() -> None:
    environ = {
        "HEADWATER_ONLINE": "rediss://head@cache:6380/2",
        "HEADWATER_ONLINE_PASSWORD": "hunter2",
        "HEADWATER_ONLINE_CA": "ca.pem",
    }
    address = Online.read(environ).address
    assert isinstance(address, Address)
    assert (address.host, address.port, address.database, address.tls) == ("cache", 6380, 2, True)
    assert (address.user, address.ca, json.dumps(str(address))) == (
        "head",
        "ca.pem",
        '"rediss://cache:6380/2"',
    )
    assert "hunter2" not in repr(Online.read(environ))
