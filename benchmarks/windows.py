"""Measure 1: eighteen windowed features after each of a million events.

The input has the shape of a well-known bank's books: 1,056,320 bookings of 4,500 accounts over six years,
made up from a seed. Sum and count of three filtered columns over 7, 30 and 90 days are wanted after every
event, as one frame of eighteen columns in the order of the events. Times are unique within a key, so that
"up to this event" (Headwater) and "up to this moment" (Polars, DuckDB) mean the same rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.harness import Contender, Entry, Setting, once, race
from benchmarks.report import Measured, Promise, mebibytes, rate, times

EVENTS, KEYS = 1_056_320, 4_500
TOLERANCE = 1e-9
_AT = "benchmarks.contenders.windows"

METHOD = f"""{EVENTS:,} events of {KEYS:,} keys over six years (made up, seeded); after each event the sum and count of
three filtered columns over 7, 30 and 90 days; result: one frame of 18 columns in event order. Input is in memory
before the clock starts; imports, compilation and a warm-up on a slice are not timed. Each contender runs in a
process of its own, in turns; medians. Sums agree to 1e-9 of the column's largest, counts exactly, or nothing counts. Whoever is too slow gets
all events of fewer keys, and its rate is per event."""


def contenders(setting: Setting) -> list[Contender]:
    """Who runs; shares are of the keys."""
    return [
        Contender("headwater", f"{_AT}.headwater"),
        Contender("headwater, 1,000 events a batch", f"{_AT}.headwater", {"batch": 1_000}),
        Contender("polars rolling, idiomatic", f"{_AT}.polars", {"way": "idiomatic"}),
        Contender("polars rolling, tuned by hand", f"{_AT}.polars", {"way": "tuned"}),
        Contender("polars rolling_sum_by.over", f"{_AT}.polars", {"way": "rolling_sum_by"}),
        Contender("duckdb window functions", f"{_AT}.duckdb"),
        Contender("bytewax stateful_map", f"{_AT}.bytewax", {"share": 0.2}, "bytewax"),
        Contender("river TimeRolling", f"{_AT}.river", {"share": 0.04}, "river"),
        Contender("pathway interval_join", f"{_AT}.pathway", {"share": 0.01}, "pathway"),
    ]


def measure(setting: Setting) -> Measured:
    """Run all contenders and compare."""
    folder = setting.folder / "windows"
    folder.mkdir(parents=True, exist_ok=True)
    scale = 50 if setting.quick else 1
    size = {"events": EVENTS // scale, "keys": KEYS // scale}
    once(setting, Contender("data", f"{_AT}.data", size), folder)
    entries = race(setting, contenders(setting), folder)
    wrong = compare(setting, entries, folder)
    ran = [entry for entry in entries if entry.samples]
    ours = entries[0]
    rows = [_row(entry, ours) for entry in ran]
    return Measured(
        name="windows",
        title="1. Eighteen windowed features after each event",
        method=METHOD,
        headers=["", "events", "events/s", "headwater is faster by", "processor s per M events", "peak memory", "largest difference"],
        rows=rows,
        promises=_promises(entries),
        notes=[f"{entry.name}: skipped: {entry.skipped}" for entry in entries if entry.skipped]
        + [f"DISAGREES: {text}" for text in wrong],
        facts={"size": size, "disagreement": wrong, "contenders": [entry.facts() for entry in entries]},
    )


def compare(setting: Setting, entries: list[Entry], folder: Path, *, tolerance: float = TOLERANCE) -> list[str]:
    """Hold every answer against the first; returns what disagrees and fills in the differences."""
    first, *others = [entry for entry in entries if entry.answer]
    options = {"expected": str(first.answer), "others": [str(entry.answer) for entry in others]}
    found: dict[str, Any] = once(setting, Contender("agreement", "benchmarks.agreement", options), folder).figures
    wrong = []
    for entry in others:
        told = found[str(entry.answer)]
        entry.difference = float(told["difference"])
        if entry.difference > tolerance:
            wrong.append(f"{entry.name} differs by {entry.difference:.2g} in {told['where']}")
    return wrong


def pace(entry: Entry) -> float:
    """Events per second."""
    return entry.figure("events") / entry.wall


def _row(entry: Entry, ours: Entry) -> list[str]:
    events = entry.figure("events")
    return [
        entry.name,
        f"{events:,.0f}",
        rate(pace(entry)),
        "" if entry is ours else times(pace(ours) / pace(entry)),
        f"{1e6 * entry.cpu / events:.3g}",
        mebibytes(entry.peak),
        "" if entry.difference is None else f"{entry.difference:.1g}",
    ]


def _promises(entries: list[Entry]) -> list[Promise]:
    ours = entries[0]
    found = []
    for name, wanted in (("polars", 5), ("duckdb", 15)):
        paces = [pace(entry) for entry in entries if entry.name.startswith(name) and entry.samples]
        ratio = pace(ours) / max(paces) if paces and ours.samples else None
        got = "not measured" if ratio is None else times(ratio)
        text = f"faster than the fastest of {name}"
        found.append(Promise(text, f"at least {wanted} x", got, None if ratio is None else ratio >= wanted))
    return found
