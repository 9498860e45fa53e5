"""Killed at any moment: every decision that was acknowledged is there, once, and the chain holds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from headwater.store.decisions import DecisionStore

ROOT = Path(__file__).parents[2]


def test_no_acknowledged_decision_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "decisions.db"
    lines = random.Random(7)
    told: list[tuple[int, int]] = []
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.store.decision_writer", str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        ) as writer:
            assert writer.stdout is not None
            for _ in range(lines.randint(1, 40)):
                last, at = writer.stdout.readline().split()
                told.append((int(last), int(at)))
            writer.send_signal(signal.SIGKILL)
        with DecisionStore.open(path) as store:
            count = store.verify()
            assert count == len(store) >= told[-1][0]
            for number, place in told:
                assert store.get(number).decision.request["n"] == place
            asked = [(d.request["n"], d.request["of"]) for d in (record.decision for record in store)]
            assert len(asked) == len(set(asked)), "none twice"
