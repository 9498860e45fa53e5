"""An export that dies at the nth thing it does to the lake's files: by ``kill -9``, or as if by it.

Called by ``test_killed`` as a process: ``killed LOG LAKE FORM kill N``, of Delta after N milliseconds; or
``... all`` to die at each thing in turn, each time in a lake of its own, and go on afterwards.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

from headwater.log.embedded import EmbeddedLog
from headwater.scale.lake import source
from tests.scale.lake.shore import STREAMS, VISITS, exported, opener


class DeadError(BaseException):
    """Nothing of the program runs from here on: nobody catches it, nothing is tidied up."""


class Death:
    """Counts what is done to files below a folder, and ends it at the nth."""

    def __init__(self, below: Path, nth: int, *, real: bool) -> None:
        self._below = str(below)
        self._real = real
        self.left = nth
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.left <= 0 or event not in ("open", "os.rename", "os.remove", "os.mkdir"):
            return
        if not str(args[0]).startswith(self._below):
            return
        self.left -= 1
        if self.left == 0:
            self._die()

    def _die(self) -> NoReturn:
        if self._real:
            os.kill(os.getpid(), signal.SIGKILL)
        raise DeadError


def everywhere(log: EmbeddedLog, lake: Path, form: str) -> int:
    """Die at each thing in turn; how many there were."""
    nth = 0
    while True:
        nth += 1
        place = lake / str(nth)
        place.mkdir(parents=True)
        death = Death(place, nth, real=False)
        try:
            exported(log, opener(form, place, large=1_200), streams=[VISITS])
        except DeadError:
            exported(log, opener(form, place, large=1_200), streams=[VISITS])
        else:
            death.left = 0
            return nth - 1


def main(path: str, lake: str, form: str, how: str, nth: str = "0") -> None:
    source.ROWS = 100 if how == "kill" else 8  # so that there are several commits
    with EmbeddedLog.open(path, STREAMS, writer=False) as log:
        if how == "all":
            sys.stdout.write(f"{everywhere(log, Path(lake), form)}\n")
            return
        if form == "delta":  # what it does to files is done outside of Python
            source.ROWS = 40
            Timer(int(nth) / 1e3, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            Death(Path(lake), int(nth), real=True)
        exported(log, opener(form, Path(lake), large=6_000), streams=STREAMS)


if __name__ == "__main__":
    main(*sys.argv[1:])
