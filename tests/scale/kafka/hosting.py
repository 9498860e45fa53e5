"""A host in a process of its own, to be killed: with brokers, the project's name and a folder.

Says ``effect`` once it has taken in something, then goes on until it is killed, between any two steps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import headwater as hw
from headwater.scale.kafka.cluster import Cluster
from headwater.scale.kafka.host import Hooks, Host, Member
from tests.serving import bank


def main(brokers: str, project: str, folder: str) -> None:
    model = bank.model(features=[bank.SPENDING], derived={})
    hooks = Hooks(on_effect=lambda *_: sys.stdout.flush() if sys.stdout.write("effect\n") else None)
    declared = hw.Project(project, models=[model])
    member = Member(project, "a", session_ms=6_000)
    with Host(Cluster(brokers), declared, {"risk": bank.scoring(model)}, Path(folder), member, hooks) as host:
        while True:
            host.turn()
            host.keep()


if __name__ == "__main__":
    main(*sys.argv[1:])
