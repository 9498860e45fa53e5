"""A host in a process of its own, to be killed: with brokers, the project's name and a folder.

Says ``effect`` once it has taken in something, then goes on until it is killed, between any two steps; with a
word more, it stops there as a machine that hangs, until it is woken. Says what it got over.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import headwater as hw
from headwater.scale.kafka.cluster import Cluster
from headwater.scale.kafka.host import Hooks, Host, Member
from tests.serving import bank


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(brokers: str, project: str, folder: str, hang: str = "") -> None:
    model = bank.model(features=[bank.SPENDING], derived={})
    hung = False

    def effect(*_: object) -> None:
        nonlocal hung
        say("effect")
        if hang and not hung:
            hung = True
            os.kill(os.getpid(), signal.SIGSTOP)

    hooks = Hooks(on_effect=effect, on_fault=lambda where, _error: say(f"fault {where}"))
    declared = hw.Project(project, models=[model])
    member = Member(project, "a", session_ms=6_000)
    with Host(Cluster(brokers), declared, {"risk": bank.scoring(model)}, Path(folder), member, hooks) as host:
        while True:
            host.turn()
            host.keep()


if __name__ == "__main__":
    main(*sys.argv[1:])
