"""A server for the tests of workers: starts a child and waits to be killed."""

from __future__ import annotations

import sys
import time

from headwater.apps.workers.worker import Job, Worker

if __name__ == "__main__":
    child = Job("test", "tests.apps.workers.child", ("1",))
    worker = Worker(child, on_message=lambda message: print(message["pid"], flush=True))  # noqa: T201
    worker.start()
    if sys.argv[1] != "idle":
        while not worker.send({"kind": sys.argv[1]}):
            time.sleep(0.01)
    time.sleep(600)
