"""A job for the tests of workers: does what it is told."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from headwater.apps.workers.parent import Parent
from headwater.apps.workers.worker import AGAIN

if os.environ.get("SLOW_BIRTH"):
    time.sleep(600)  # as if what it imports took long


def main(server: Parent, arguments: Sequence[str]) -> None:
    """Until the server is gone."""
    print("this is no message")  # noqa: T201 - what anybody prints must not get into the channel
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    server.tell({"kind": "born", "pid": os.getpid(), "nice": nice, "session": os.getsid(0)})
    assert arguments == ("hello",)
    while True:
        message = server.next(0.5)
        if message is None:
            continue
        if message["kind"] == "die":
            os._exit(3)
        if message["kind"] == "again":
            sys.exit(AGAIN)
        if message["kind"] == "raise":
            raise ValueError(message["secret"])
        if message["kind"] == "hang":
            server.tell({"kind": "hanging"})
            time.sleep(600)
        if message["kind"] == "work":
            for _ in range(10_000):
                server.step()
                time.sleep(0.01)
        server.tell({"kind": "heard", "said": message, "threads": os.environ["POLARS_MAX_THREADS"]})
