"""Kernels compiled and kernels interpreted give the same bits, so what coverage interprets is what runs.

::

    this process, compiled      ──► emissions ──► fingerprint ─┐
    another one, plain Python   ──► emissions ──► fingerprint ─┴─ equal
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import headwater as hw
from tests.engine.cases import Case, at, log, view
from tests.engine.hosts import ANY_CUTS, bits

ROOT = Path(__file__).parents[2]
FEATURES = {
    "n": hw.count(over="20s"),
    "sum": hw.sum("amount", over="20s"),
    "mean": hw.mean("amount", over="20s", delay="3s"),
    "var": hw.var("amount", over="20s"),
    "slope": hw.trend("amount", over="20s"),
    "low": hw.min("amount", over="20s"),
    "high": hw.max("units", over="20s"),
    "first": hw.first("word", over="20s", delay="3s"),
    "last": hw.last("amount"),
    "kinds": hw.distinct("word", over="20s"),
    "median": hw.quantile("amount", q=0.5, over="20s"),
    "faded": hw.decayed_sum("amount", half_life="5s"),
    "since": hw.since_last(over="20s", delay="3s"),
}


def fingerprint() -> str:
    """What 400 events in 2026, many of them late, emit: a hash of all bits."""
    dice = random.Random(2026)
    events = log(
        at(1_780_000_000 + i - dice.choice([0, 0, 3, 30]), dice.gauss(0, 9), units=i, word=dice.choice("abc"))
        for i in range(400)
    )
    emitted = ANY_CUTS.emissions(Case([view(FEATURES)], events))
    return hashlib.sha256(repr(bits(emitted)).encode()).hexdigest()


def test_interpreted_kernels_give_the_same_bits() -> None:
    other = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.engine.test_interpreted"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.stderr == ""
    assert other.stdout == fingerprint()


if __name__ == "__main__":
    sys.stdout.write(fingerprint())
