"""``headwater serve`` as a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Process:
    """A running server: what its banner said, and the process."""

    banner: dict[str, Any]
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.banner["url"])

    def end(self, how: signal.Signals) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(how)
        return self.process.wait(30)


@contextmanager
def served(project: Path, *options: str, **variables: str) -> Iterator[Process]:
    """A server of a project folder on a free port; see :func:`begin`."""
    with begin(project, *options, **variables) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            line = process.stdout.readline()
            if not line:
                assert process.stderr is not None
                raise AssertionError(f"it did not start: {process.stderr.read()}")
            lines.append(line)
        banner = json.loads("".join(lines))
        assert "url" in banner, banner
        yield Process(banner, process)


@contextmanager
def begin(project: Path, *options: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A server that is just starting; it is killed at the end if it still runs.

    Args:
        project: the folder.
        options: of the command.
        variables: of the environment.
    """
    command = [
        sys.executable,
        "-m",
        "headwater.apps.cli.main",
        "serve",
        str(project),
        "--port",
        "0",
        "--json",
    ]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)
