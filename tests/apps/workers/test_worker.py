"""A worker's child: heard, kept alive, ended when told, and gone when its server is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

import pytest

from headwater.apps.workers.message import Message
from headwater.apps.workers.worker import FARTHEST, Job, Worker

LONG = 20.0  # seconds until a test gives up


@contextmanager
def worked(patience: float = 5.0, **changes: Any) -> Iterator[tuple[Worker, Queue[Message]]]:
    """A worker whose child has been born, and what it says."""
    heard: Queue[Message] = Queue()
    facts = {"rests": (0.05, 0.2), "patience": patience, **changes}
    job = Job("test", "tests.apps.workers.child", ("hello",), **facts)
    worker = Worker(job, greeting=lambda: [{"kind": "hello", "x": 0.1 + 0.2}], on_message=heard.put)
    worker.start()
    try:
        yield worker, heard
    finally:
        worker.stop()
        assert worker.pid is None
        assert not worker.up


def until(fact: Callable[[], bool], seconds: float = LONG) -> bool:
    """Wait for something; whether it came."""
    end = time.monotonic() + seconds
    while not fact() and time.monotonic() < end:
        time.sleep(0.01)
    return fact()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_is_said_is_heard() -> None:
    with worked() as (worker, heard):
        assert not worker.up
        born = heard.get(timeout=LONG)
        assert (born["kind"], born["pid"], born["nice"]) == ("born", worker.pid, 10)
        assert born["session"] == os.getsid(0)  # one of its own would get as much as we do
        hello = heard.get(timeout=LONG)
        assert hello == {"kind": "heard", "said": {"kind": "hello", "x": 0.1 + 0.2}, "threads": "1"}
        assert worker.send({"kind": "more", "text": "ä\n"})
        assert heard.get(timeout=LONG)["said"] == {"kind": "more", "text": "ä\n"}
        assert (worker.up, worker.starts) == (True, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process wait for idle processors")
def test_the_farthest_back_has_what_nobody_wants() -> None:
    with worked(niceness=FARTHEST) as (worker, heard):
        heard.get(timeout=LONG)
        assert os.sched_getscheduler(worker.pid or 0) == os.SCHED_IDLE


def test_a_child_that_dies_is_born_again_and_greeted_again() -> None:
    with worked() as (worker, heard):
        pids = set()
        for _ in range(3):
            pids.add(heard.get(timeout=LONG)["pid"])
            assert heard.get(timeout=LONG)["said"]["kind"] == "hello"
            worker.send({"kind": "die"})
        pids.add(heard.get(timeout=LONG)["pid"])
        assert len(pids) == worker.starts == 4


def test_a_child_that_is_done_with_its_piece_is_followed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with worked(rests=(60.0, 60.0)) as (worker, heard):
        for _ in range(2):
            assert heard.get(timeout=LONG)["kind"] == "born"
            assert heard.get(timeout=LONG)["said"]["kind"] == "hello"
            worker.send({"kind": "again"})
        assert heard.get(timeout=LONG)["kind"] == "born"
    assert "a worker died" not in caplog.text


def test_what_a_child_raises_is_told_without_its_text(capfd: pytest.CaptureFixture[str]) -> None:
    with worked() as (worker, heard):
        heard.get(timeout=LONG)
        worker.send({"kind": "raise", "secret": "Ada's balance"})
        assert until(lambda: worker.starts == 2)
    said = capfd.readouterr().err
    assert "this is no message" in said
    assert '"error": "ValueError"' in said
    assert "balance" not in said
    assert said.count("a worker fails") == 1  # the last one was let go


def test_rests_grow_while_children_die_young() -> None:
    """One that cannot even start: three births in 0.1 + 0.2 + 0.4 seconds, not a thousand."""
    worker = Worker(Job("test", "no.such.module", rests=(0.1, 60.0)))
    worker.start()
    assert until(lambda: worker.starts == 3)
    assert not worker.up
    assert worker.send({"kind": "x"}) in (True, False)
    worker.stop()
    assert worker.starts <= 4


def test_nobody_waits_for_a_child_that_does_not_listen() -> None:
    with worked(patience=0.2, room=50) as (worker, heard):
        heard.get(timeout=LONG)
        heard.get(timeout=LONG)
        worker.send({"kind": "hang"})
        assert heard.get(timeout=LONG) == {"kind": "hanging"}
        line, started = "x" * 10_000, time.monotonic()
        while worker.dropped < 100:
            worker.send({"kind": "more", "text": line})
        assert time.monotonic() - started < LONG
        pid = worker.pid
        assert pid is not None
    assert not lives(pid)  # it would not end, and was killed


@pytest.mark.parametrize("doing", ["birth", "idle", "work", "hang"])
def test_no_child_outlives_a_server_that_is_killed(doing: str) -> None:
    command = [sys.executable, "-m", "tests.apps.workers.starter", doing]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert lives(pid)
        server.send_signal(signal.SIGKILL)
        server.wait()
        assert until(lambda: not lives(pid))
