"""A load in numbers for programs and in words for people. Called by ``headwater bench load``, benchmarks."""

from __future__ import annotations

import math
from typing import Any

from headwater.apps.load.histogram import Histogram
from headwater.apps.load.loop import Pace
from headwater.apps.load.tally import Ended, Kind, Tally

PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
_MS = 1e-6

WORDS = {
    Ended.DONE: "to its end",
    Ended.INTERRUPTED: "until it was interrupted",
    Ended.ERRORS: "until errors were too many",
    Ended.USED_UP: "until the file was used up",
}


def document(tally: Tally, pace: Pace) -> dict[str, Any]:
    """All of it as plain values; durations in milliseconds."""
    seconds = tally.seconds or math.nan
    return {
        "loop": "closed" if pace.rate is None else "open",
        "rate": pace.rate,
        "connections": pace.connections,
        "seconds": round(tally.seconds, 3),
        "ended": str(tally.ended),
        "good": tally.good,
        "per_second": tally.good / seconds,
        "latency_ms": durations(tally.latency),
        "kinds": {name: _kind(one, seconds) for name, one in tally.kinds.items()},
        "errors": tally.errors,
        "faults": {name: {"count": one.count, "first": one.sample} for name, one in tally.faults.items()},
        "generator": {"late_ms": durations(tally.late), "cores": tally.processor / seconds},
    }


def durations(found: Histogram) -> dict[str, float]:
    """The percentiles of a histogram, in milliseconds."""
    told = {f"p{percent:g}": found.percentile(percent) * _MS for percent in PERCENTS}
    longest = found.longest * _MS if found.count else math.nan
    return {**told, "mean": found.mean * _MS, "max": longest}


def _kind(one: Kind, seconds: float) -> dict[str, Any]:
    told = {
        "sent": one.sent,
        "good": one.good,
        "per_second": one.good / seconds,
        "latency_ms": durations(one.latency),
        "service_ms": durations(one.service),
    }
    events = {"accepted": one.accepted, "duplicates": one.duplicates, "refused": one.refused}
    if any(events.values()):
        told["events"] = {**events, "accepted_per_second": one.accepted / seconds}
    return told
