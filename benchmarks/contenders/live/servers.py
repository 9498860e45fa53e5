"""Starts a server and ends it, with all the processes that it starts itself, whatever happens to us."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120.0  # seconds until a server must be ready, unless it is said otherwise
_KIB = 1024
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    seconds: float  # from its start until it was ready
    said: Path  # what it writes

    def resident(self) -> int:
        """Bytes that it and its children hold."""
        return sum(_resident(pid) for pid in _family(self.process.pid))

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait(30)


@contextmanager
def started(
    command: Sequence[str],
    port: int,
    ready: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    patience: float = PATIENCE,
) -> Iterator[Server]:
    """A server, once ``ready`` answers with 200, until the block ends.

    Raises:
        RuntimeError: it ended, or is not ready in time; with the last line that it said.
    """
    said = folder / f"server-{port}.log"
    url, start = f"http://127.0.0.1:{port}", time.perf_counter()
    with said.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread of ours holds a lock that it needs
        )
    try:
        while not _answers(url + ready):
            if process.poll() is not None or time.perf_counter() - start > patience:
                last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                raise RuntimeError(f"the server is not ready: {''.join(last)[-200:]}")
            time.sleep(0.01)
        yield Server(url, process, time.perf_counter() - start, said)
    finally:
        _end(process)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    for how, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # children that outlived it


def _die_with_parent() -> None:
    """Linux ends the server if the worker is killed; elsewhere it would go on."""
    if hasattr(os, "sched_setaffinity"):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text(encoding="ascii").split():
            yield from _family(int(child))


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith("VmRSS:")), 0)
