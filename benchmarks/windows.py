"""Measure 1: eighteen windowed features after each of a million events.

The input has the shape of a well-known bank's books: 1,056,320 bookings of 4,500 accounts over six years,
made up from a seed. Sum and count of three filtered columns over 7, 30 and 90 days are wanted after every
event, as one frame of eighteen columns in the order of the events. Times are unique within a key, so that
"up to this event" (Headwater) and "up to this moment" (Polars, DuckDB) mean the same rows.
"""

from __future__ import annotations

from benchmarks.agreement import compare
from benchmarks.harness import Contender, Entry, Setting, once, race
from benchmarks.report import Measured, Promise, mebibytes, rate, times

EVENTS, KEYS = 1_056_320, 4_500
_AT = "benchmarks.contenders.windows"

METHOD = f"""{EVENTS:,} events of {KEYS:,} keys over six years (made up, seeded). After each event: the sum
and count of three filtered columns over 7, 30 and 90 days, as one frame of 18 columns in event order. Input
is in memory before the clock starts; imports, compilation and a warm-up on a slice are not timed. Each
contender runs in processes of its own, in turns, three times in each if it takes less than 3 s; medians.
Answers are compared: sums to 1e-9 of the column's largest, counts exactly. Whoever is too slow gets all
events of fewer keys; rates are per event."""


def contenders() -> list[Contender]:
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
    entries = race(setting, contenders(), folder)
    wrong = compare(setting, entries, folder)
    return Measured(
        name="windows",
        title="1. Eighteen windowed features after each event",
        method=METHOD,
        headers=[
            "",
            "events",
            "events/s",
            "faster by",
            "processor s per M",
            "less by",
            "peak memory",
            "largest difference",
        ],
        rows=[_row(entry, entries[0]) for entry in entries if entry.samples],
        promises=_promises([] if setting.quick else entries),
        notes=[f"{entry.name}: skipped: {entry.skipped}" for entry in entries if entry.skipped]
        + [f"DISAGREES: {text}" for text in wrong],
        facts={"size": size, "disagreement": wrong, "contenders": [entry.facts() for entry in entries]},
    )


def _row(entry: Entry, ours: Entry) -> list[str]:
    events = entry.figure("events")
    return [
        entry.name,
        f"{events:,.0f}",
        rate(_pace(entry)),
        "" if entry is ours else times(_pace(ours) / _pace(entry)),
        f"{1e6 * entry.cpu / events:.3g}",
        "" if entry is ours else times(_busy(entry) / _busy(ours)),
        mebibytes(entry.peak),
        "" if entry.difference is None else f"{entry.difference:.1g}",
    ]


def _pace(entry: Entry) -> float:
    """Events per second."""
    return entry.figure("events") / entry.wall


def _busy(entry: Entry) -> float:
    """Seconds of the processor per event."""
    return entry.cpu / entry.figure("events")


def _promises(entries: list[Entry]) -> list[Promise]:
    """Against the fastest of each kind, by the clock."""
    if not entries:
        return []
    ours, *others = entries
    return [
        _promise(ours, [entry for entry in others if entry.name.startswith(start)], text, wanted)
        for start, text, wanted in (
            ("polars rolling,", "faster than Polars rolling, the faster of two ways", 5),
            ("polars", "faster than the fastest way in Polars", 1),
            ("duckdb", "faster than DuckDB's window functions", 15),
        )
    ]


def _promise(ours: Entry, others: list[Entry], text: str, wanted: int) -> Promise:
    paces = [_pace(entry) for entry in others if entry.samples]
    if not paces:
        return Promise(text, f"at least {wanted} x", "not measured", None)
    ratio = _pace(ours) / max(paces)
    return Promise(text, f"at least {wanted} x", times(ratio), ratio >= wanted)
