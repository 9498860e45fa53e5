"""A child process for the tests of workers: does what it is told."""

from __future__ import annotations

import os
import sys
import time

from headwater.apps.workers.parent import parent

if __name__ == "__main__":
    with parent(patience=float(sys.argv[1])) as server:
        print("this is no message")  # noqa: T201 - what anybody prints must not get into the channel
        server.tell({"kind": "born", "pid": os.getpid(), "nice": os.getpriority(os.PRIO_PROCESS, 0)})
        while True:
            message = server.next(0.5)
            if message is None:
                continue
            if message["kind"] == "die":
                os._exit(3)
            if message["kind"] == "hang":
                server.tell({"kind": "hanging"})
                time.sleep(600)
            if message["kind"] == "work":
                for _ in range(10_000):
                    server.step()
                    time.sleep(0.01)
            server.tell({"kind": "heard", "said": message, "threads": os.environ["POLARS_MAX_THREADS"]})
