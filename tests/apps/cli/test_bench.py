"""``headwater bench load`` against a server of its own, as a user calls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import headwater as hw
from headwater.apps.settings import SETTINGS
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.store.credentials import CredentialStore, Role
from headwater.store.folder import DataFolder
from tests.apps.cli.conftest import Headwater
from tests.http.process import Process, served

HERE = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)


@pytest.fixture(scope="module")
def server(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("live")
    shutil.copytree(trained_folder, folder, dirs_exist_ok=True)
    with served(folder) as made:
        yield made


def test_decisions(headwater: Headwater, server: Process) -> None:
    ended = headwater("bench", "load", server.url, "--rate", "100", "--seconds", "1", "--json")
    told = ended.json
    assert ended.code == 0
    assert (told["good"], told["errors"], told["ended"], told["loop"]) == (100, 0, "done", "open")
    latency = told["latency_ms"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    with hw.Client(server.url) as client:
        assert client.decision("d100").keys["who"] is not None


def test_events_are_taken_only_if_it_is_meant(headwater: Headwater, server: Process) -> None:
    options = ["bench", "load", server.url, "--kind", "events", "--rate", "50", "--seconds", "1"]
    headwater(*options).fails(
        2,
        """
        events are real: they stay in the service's log and move its scores; say --write if you mean it
          do:       see `headwater bench load --help`
        """,
    )
    ended = headwater(*options, "--events", "20", "--refresh", "--late", "0.1", "--write", "--json")
    events = ended.json["kinds"]["events"]["events"]
    assert (events["accepted"], events["duplicates"], events["refused"]) == (1_000, 0, 0)


def test_both_in_words(headwater: Headwater, server: Process) -> None:
    options = ["--kind", "mixed", "--rate", "200", "--seconds", "0.5", "--poisson", "--write"]
    ended = headwater("bench", "load", server.url, *options)
    assert ended.code == 0
    assert ended.out.startswith(f"{server.url}: 200 requests/s, 32 connections, 0.5 s\nIt went to its end.\n")
    assert {"decisions", "events"} <= {line.split(" ")[0] for line in ended.out.splitlines()}
    assert "events taken" in ended.out


def test_a_file_of_events(headwater: Headwater, server: Process, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    event = {"who": 3, "time": "2026-05-01T00:00:00Z", "amount": 2.0, "kind": "card", "name": "Ada"}
    rows = [{"id": 70_000 + n, **event} for n in range(30)] + [{"id": "x", **event}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    options = ["--kind", "events", "--file", str(file), "--write", "--rate", "100", "--json"]
    ended = headwater("bench", "load", server.url, *options, "--stream", "payments")
    assert (ended.json["ended"], ended.json["good"]) == ("used up", 30)
    assert list(ended.json["faults"]) == ["refused"]
    ended = headwater("bench", "load", server.url, *options, "--renew", "--seconds", "0.5")
    assert ended.json["kinds"]["events"]["events"]["accepted"] == 50  # with ids of their own


def test_a_key_is_sent(headwater: Headwater, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CredentialStore.open(DataFolder(trained / ".headwater").access) as store:
        _, secret = store.create("load", [Role.DECIDE], now=0, actor="test")
    options = ["--rate", "50", "--seconds", "0.4"]
    with served(trained) as server:
        refused = headwater("bench", "load", server.url, *options)
        assert refused.code == 4
        assert refused.err.startswith("a credential is needed")
        monkeypatch.setenv("HEADWATER_API_KEY", secret.reveal())
        assert headwater("bench", "load", server.url, *options, "--json").json["good"] == 20
        ended = headwater(
            "bench", "load", server.url, *options, "--kind", "events", "--write", "--max-errors", "0.5"
        )
        assert ended.code == 5
        assert "403 forbidden" in ended.out
        assert secret.reveal() not in ended.out + ended.err


def test_ctrl_c_ends_with_the_figures(headwater: Headwater, server: Process) -> None:
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    ended = headwater("bench", "load", server.url, "--seconds", "60", "--json")
    assert ended.code == 130
    assert ended.json["ended"] == "interrupted"
    assert ended.json["good"] > 10


def test_nobody_there(headwater: Headwater) -> None:
    headwater("bench", "load", HERE).fails(
        5,
        f"""
        the service cannot be reached
          got:      ConnectError
          where:    {HERE}
          do:       start it with `headwater serve`, or name it behind `bench load`
        """,
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--rate", "0"], "Invalid value for '--rate': '0' is no number above 0, nor 'max'"),
        (["--rate", "nan"], "Invalid value for '--rate': 'nan' is no number above 0, nor 'max'"),
        (["--seconds", "0"], "Invalid value for '--seconds': 0.0 is not in the range 0.1<=x<=86400."),
        (["--renew"], "--renew goes with --file"),
    ],
)
def test_what_cannot_be_meant_is_refused(headwater: Headwater, options: list[str], text: str) -> None:
    ended = headwater("bench", "load", HERE, *options)
    assert (ended.code, ended.err.splitlines()[0]) == (2, text)


def test_what_is_sent_stays_in_the_log(headwater: Headwater, trained: Path) -> None:
    data = DataFolder(trained / ".headwater")
    with served(trained) as server:
        options = [
            "--kind",
            "events",
            "--rate",
            "max",
            "--connections",
            "2",
            "--events",
            "50",
            "--seconds",
            "0.5",
        ]
        ended = headwater("bench", "load", server.url, *options, "--write", "--format", "arrow", "--json")
        assert server.end(signal.SIGTERM) == 0
    taken = ended.json["kinds"]["events"]["events"]["accepted"]
    with EmbeddedLog.open(data.log, load_project(trained / "project.py").streams, writer=False) as log:
        assert 900 + taken <= log.end() <= 900 + taken + 2 * 50  # and what was under way at the end
