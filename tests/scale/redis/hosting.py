"""A Kafka host that publishes, in a process of its own, to be killed: with brokers, Redis, name and folder.

Says ``effect`` each time that it has taken in something, between the state and the commit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headwater.apps.online import Online
from headwater.core.secret import Secret
from headwater.scale.kafka.cluster import Cluster
from headwater.scale.kafka.host import Hooks, Host, Member
from headwater.scale.redis.connection import Address
from tests.scale.redis.lender import definitions, micros


def say(*_: object) -> None:
    sys.stdout.write("effect\n")
    sys.stdout.flush()


def main(brokers: str, redis: str, name: str, folder: str) -> None:
    project = definitions(name)
    address = Address.of(redis, Secret(os.environ["HEADWATER_ONLINE_PASSWORD"]))
    owners = Online(address=address).owners(project, micros, lambda *_: None)
    hooks = Hooks(on_effect=say, on_own=owners.own, on_gone=owners.gone)
    member = Member(name, "a", session_ms=6_000)
    with Host(Cluster(brokers), project, {}, Path(folder), member, hooks) as host, owners:
        owners.start(host.count)
        while True:
            host.turn(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
