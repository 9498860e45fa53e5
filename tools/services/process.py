"""A service as a process with its pid on file: started apart from us, known again, stopped.

A pid that is on file is only believed if the process still names the service's folder in its command line,
so that a number that was given out again is never taken for a service, nor stopped. Called by the services.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PATIENCE = 60.0  # seconds that a service may take until it answers


class ServiceError(RuntimeError):
    """A service cannot be had; the message says what to do."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def listens(port: int) -> bool:
    """Whether somebody takes connections on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """One process of a service.

    Args:
        folder: the service's own; ``pid`` and ``output`` are kept there.
        stop_signal: what asks it to end.
    """

    def __init__(self, folder: Path, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        self.folder = folder
        self._stop_signal = stop_signal
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its pid while it lives."""
        try:
            pid = int((self.folder / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.folder).encode() in command else None

    def start(self, command: Sequence[str | Path], user: str | None = None) -> None:
        """Start it, unless it lives; its words go to ``output``."""
        if self.pid is not None:
            return
        with (self.folder / "output").open("wb") as output:
            self._child = subprocess.Popen(  # noqa: S603 - the services' own command lines
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        (self.folder / "pid").write_text(str(self._child.pid))
        while not self._seen():  # its command line shows a moment after it began
            time.sleep(0.001)

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until it answers.

        Raises:
            ServiceError: it ended, or took too long.
        """
        stop = time.monotonic() + PATIENCE
        while not ready():
            if self._ended() or time.monotonic() > stop:
                said = (self.folder / "output").read_text(errors="replace").strip().splitlines()[-8:]
                raise ServiceError(
                    f"{self.folder.name} does not answer\n  said:  "
                    + "\n         ".join(said or ["nothing"])
                    + f"\n  where: {self.folder}"
                    + "\n  do:    look there; `make services-stop` and remove that folder to begin anew"
                )
            time.sleep(0.05)

    def stop(self) -> bool:
        """Ask it to end and wait; whether it lived."""
        pid = self.pid
        if pid is None:
            return False
        os.kill(pid, self._stop_signal)
        if not self._wait_for_end(15):
            self.kill()
        return True

    def kill(self) -> None:
        """End it without asking, as a power cut does."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            self._wait_for_end(15)

    def _wait_for_end(self, seconds: float) -> bool:
        stop = time.monotonic() + seconds
        while not self._ended():
            if time.monotonic() > stop:
                return False
            time.sleep(0.01)
        return True

    def _seen(self) -> bool:
        """Whether its start is over: it can be known by its command line, or has ended."""
        return self.pid is not None or self._ended()

    def _ended(self) -> bool:
        """Whether it is no more; a child of ours is waited for, so that it leaves no zombie."""
        return self.pid is None if self._child is None else self._child.poll() is not None
