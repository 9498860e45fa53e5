"""The disk under a server fails, is full, is read-only or holds torn files: nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import headwater as hw
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder
from tests.http.process import Process, begin, served
from tests.http.test_process import pay

LINUX = sys.platform == "linux"
MAY_MOUNT = LINUX and os.geteuid() == 0 and shutil.which("mount") is not None
if LINUX:
    import resource

Told = tuple[int, str, str]  # status, code and title of an answer


@contextmanager
def mounted(*options: str, at: Path) -> Iterator[None]:
    """Something mounted at a folder, where that is allowed."""
    if subprocess.run(["mount", *options, str(at)], check=False, capture_output=True).returncode:
        pytest.skip("may not mount here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


@contextmanager
def failing(server: Process) -> Iterator[None]:
    """The disk takes nothing more from the server: every write behind the first KB of a file fails."""
    pid, no = server.process.pid, resource.RLIMIT_FSIZE
    before = resource.prlimit(pid, no, (1_024, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, no, before)


def ask(server: Process, path: str, **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": "one"} if path == "/v1/decisions" else {}
    return httpx.post(server.url + path, json=body, headers=headers, timeout=30)


def told(answer: httpx.Response) -> Told:
    found = answer.json()
    return answer.status_code, found["code"], found["title"]


def faults(server: Process, where: str) -> float:
    """How many the server counted of a kind."""
    name = f'headwater_faults_total{{where="{where}"}} '
    found = [line for line in httpx.get(server.url + "/metrics").text.splitlines() if line.startswith(name)]
    return float(found[0].removeprefix(name)) if found else 0.0


def wait_for(what: str, found: Any) -> None:
    until = time.monotonic() + 30
    while not found():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def fill(path: Path) -> None:
    """A file that takes all that is left of the disk."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass


def tear(wal: Path, before: bytes) -> None:
    """Of what was written last, only the first half reached the disk."""
    after = wal.read_bytes()
    before = before.ljust(len(after), b"\0")
    changed = np.flatnonzero(np.frombuffer(after, np.uint8) != np.frombuffer(before, np.uint8))
    middle = int(changed[0] + changed[-1]) // 2
    wal.write_bytes(after[:middle] + before[middle:])


def held(shop: Path) -> dict[int, int]:
    """Event id to offset; the log is whole, and so is the chain of the decisions."""
    data = DataFolder(shop / ".headwater")
    with EmbeddedLog.open(data.log, load_project(shop / "project.py").streams) as log:
        assert log.verify().problems == ()
        pairs = [
            pair
            for batch in log.scan(["payments"])
            for pair in zip(batch.frame["id"].to_list(), batch.offset.tolist(), strict=True)
        ]
    assert len(dict(pairs)) == len(pairs)
    with DecisionStore.open(data.decisions) as store:
        assert store.verify() == len(store)
    return dict(pairs)


#  events 0-9    │ the disk fails: events, a decision, a snapshot │ room again: the same once more │ kill -9
#                └ each is told so; reads go on                    └ accepted                       │
#  start ◄── a torn snapshot, half a record at the log's end ──────────────────────────────────────┘
@pytest.mark.slow
@pytest.mark.skipif(not LINUX, reason="needs prlimit")
def test_a_disk_that_fails_and_torn_files_after_it(shop: Path) -> None:
    data = DataFolder(shop / ".headwater")
    first, second = [pay(90_000 + i, i) for i in range(10)], [pay(90_100 + i, i) for i in range(10)]
    with served(shop, "--snapshot-every", "1") as server, hw.Client(server.url) as client:
        assert client.events("payments", first).accepted == 10
        with failing(server):
            assert told(ask(server, "/v1/events", stream="payments", events=second)) == (
                503,
                "log",
                "the disk failed under the log: the last change may or may not be there",
            )
            assert told(ask(server, "/v1/decisions", keys={"who": 3})) == (
                503,
                "store",
                "the decision records cannot be used",
            )
            assert client.features("behaviour", 3, "2026-06-01T00:00:00Z").features["n_30d"]
            wait_for("no snapshot failed", lambda: faults(server, "snapshot"))
            assert httpx.get(server.url + "/readyz").status_code == 200
        assert [faults(server, where) for where in ("commit", "record")] == [1.0, 1.0]
        sent = client.events("payments", [*second, *first])
        assert (sent.accepted, sent.duplicates) == (10, 10)
        made = client.decide({"who": 3}, idempotency_key="one")
        assert client.decide({"who": 3}, idempotency_key="one") == made
        offsets = [one.offset for one in sent.results]
        before = client.features("behaviour", 3, "2026-06-01T00:00:00Z").features
        assert offsets[9] is not None
        wait_for("no snapshot", (data.snapshots / f"{offsets[9] + 1:020d}.snapshot").exists)
        wal = data.log.with_name(data.log.name + "-wal")
        whole = wal.read_bytes()
        client.events("payments", [pay(90_200)])  # taken for one that the machine stopped in the middle of
        server.end(signal.SIGKILL)
    tear(wal, whole)
    newest = max(data.snapshots.glob("*.snapshot"))
    newest.write_bytes(newest.read_bytes()[:-1_000])
    with served(shop) as server, hw.Client(server.url) as client:
        assert faults(server, "snapshot") == 1
        assert client.features("behaviour", 3, "2026-06-01T00:00:00Z").features == before
        assert client.decision(made.decision_id) == made
        again = client.events("payments", [*second, *first])
        assert (again.accepted, [one.offset for one in again.results]) == (0, offsets)
        assert client.events("payments", [pay(90_200)]).accepted == 1
        assert server.end(signal.SIGTERM) == 0
        assert server.process.stderr is not None
        assert '"part": "snapshot"' in server.process.stderr.read()
    found = held(shop)
    assert [found[event["id"]] for event in [*second, *first]] == offsets
    assert 90_200 in found


@pytest.mark.slow
@pytest.mark.skipif(not MAY_MOUNT, reason="needs to mount a tmpfs")
def test_a_disk_that_is_full(shop: Path) -> None:
    folder = shop / ".headwater"
    copy = shutil.copytree(folder, shop / "copy")
    with mounted("-t", "tmpfs", "-o", "size=64m", "tmpfs", at=folder):
        shutil.copytree(copy, folder, dirs_exist_ok=True)
        with served(shop, "--snapshot-every", "3600") as server, hw.Client(server.url) as client:
            fill(folder / "other")
            accepted, refused = 0, None
            while refused is None:
                events = [pay(100_000 + accepted + i, i % 30) for i in range(1_000)]
                answer = ask(server, "/v1/events", stream="payments", events=events)
                if answer.status_code == 200:
                    accepted += answer.json()["accepted"]
                else:
                    refused = told(answer)
            assert refused[:2] == (503, "log")
            assert refused[2].startswith(("the disk is full", "the disk failed"))
            assert httpx.get(server.url + "/readyz").status_code == 200
            (folder / "other").unlink()
            assert client.events("payments", events).accepted == 1_000
            assert client.decide({"who": 3}).score >= 0
            assert server.end(signal.SIGTERM) == 0
        assert set(held(shop)) >= set(range(100_000, 101_000 + accepted))


@pytest.mark.skipif(not MAY_MOUNT, reason="needs to mount a folder once more")
def test_a_disk_that_may_only_be_read(shop: Path) -> None:
    """It does not start, and says where it stopped; the files are as they were."""
    folder = shop / ".headwater"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with mounted("--bind", str(folder), at=folder):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        with begin(shop) as process:
            out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (5, "")
    assert json.loads(out)["error"]["problems"] == [
        {
            "what": "the file of keys and audit trail cannot be used",
            "got": "Read-only file system",
            "where": str(folder / "access.db"),
            "do": "look at the file, its folder and the disk, then try again",
        }
    ]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
