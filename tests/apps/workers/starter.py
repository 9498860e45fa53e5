"""A server for the tests of workers: starts a child, says its process id, and waits to be killed."""

from __future__ import annotations

import sys
import time

from headwater.apps.workers.worker import Job, Worker

if __name__ == "__main__":
    doing = sys.argv[1]
    slow = {"SLOW_BIRTH": "1"} if doing == "birth" else {}
    worker = Worker(
        Job("test", "tests.apps.workers.child", ("hello",), environment={**slow, "POLARS_MAX_THREADS": "1"})
    )
    worker.start()
    while worker.pid is None or not (worker.up or slow):
        time.sleep(0.01)
    if doing in ("work", "hang"):
        worker.send({"kind": doing})
    time.sleep(0.2)
    print(worker.pid, flush=True)  # noqa: T201
    time.sleep(600)
