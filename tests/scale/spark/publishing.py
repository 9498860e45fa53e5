"""A driver that publishes, to be killed when its second batch is told and not yet committed.

With brokers, the project's name, Redis, a checkpoint and the jars; the password is in the environment.
"""

from __future__ import annotations

import sys
import time
from functools import partial

from headwater.apps.online import address
from headwater.core.clock import SystemClock
from headwater.scale.kafka.cluster import Cluster
from headwater.scale.spark.publishing import Publishing
from headwater.scale.spark.session import session
from headwater.scale.spark.stream import SETTINGS, start
from tests.scale.redis.lender import definitions
from tests.scale.spark.streaming import PACE, QUICK, killed
from tests.serving import bank as small


def main(brokers: str, name: str, redis: str, checkpoint: str, jars: str) -> None:
    online = Publishing(partial(address, redis), SystemClock().now, time.perf_counter_ns)
    settings = {**SETTINGS, **QUICK, "spark.jars": jars, "spark.driver.host": "127.0.0.1"}
    with session(name, "local[2]", settings) as spark, killed(2) as count:
        running = start(
            spark,
            Cluster(brokers),
            definitions(name),
            {"risk": small.scoring()},
            group=name,
            checkpoint=checkpoint,
            pace=PACE,
            on_turn=count,
            online=online,
        )
        running.query.awaitTermination()


if __name__ == "__main__":
    main(*sys.argv[1:])
