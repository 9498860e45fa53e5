"""A training set on Spark: one core against two, and against Spark's own window functions.

Ten million card payments, made up in the shape of a public data set; a row for every 25th of them (with the
size ``spark.every=0``, for those of a week), with the twelve features of the measure ``training_set``. Not
timed: starting Spark, and a first run over everything, in which Java compiles. That first run is timed for
contenders of its own, warmed up on a tenth of the customers. Not among the measures that run when none is
named: it needs Java, and some minutes.
"""

from __future__ import annotations

from benchmarks.agreement import compare
from benchmarks.harness import Contender, Entry, Setting, once, race
from benchmarks.report import Measured, Promise, times

SIZES = ("spark.events", "spark.every")
EVENTS, EVERY = 10_000_000, 25
_AT = "benchmarks.contenders"

METHOD = """Payments of 28,400 customers at 57,000 terminals over half a year (for 10 M events), from one
Parquet file; a row for every 25th payment, with count and mean per customer over 1, 7, 30 days, and count and
share of frauds per terminal over the same windows, moved back by 7 days. Result: all rows, as one Arrow table
in the driver. Every contender has a driver of 5 GiB and 8 shuffle partitions, and has made the set once
before; those called first have made it for a tenth of the customers."""


def contenders(every: int = EVERY) -> list[Contender]:
    """Who runs; for the rows of a week also window functions that get only the events that these rows see."""
    ours, own = f"{_AT}.spark.headwater", f"{_AT}.spark.windows"
    found = [
        Contender("headwater, local[2]", ours, {"cores": 2, "warm": 1}),
        Contender("headwater, local[1]", ours, {"cores": 1, "warm": 1}),
        Contender("pyspark window functions, local[2]", own, {"cores": 2, "warm": 1}),
        Contender("headwater, local[2], first", ours, {"cores": 2, "warm": 10}),
        Contender("headwater, local[1], first", ours, {"cores": 1, "warm": 10}),
    ]
    if not every:
        options = {"cores": 2, "warm": 1, "cut": True}
        found.append(Contender("pyspark window functions, cut by hand, local[2]", own, options))
    return found


def measure(setting: Setting) -> Measured:
    """Run all contenders and compare."""
    folder = setting.folder / "spark"
    folder.mkdir(parents=True, exist_ok=True)
    events = int(setting.size("spark.events", EVENTS, EVENTS / 500))
    every = int(setting.size("spark.every", EVERY, EVERY))
    options = {"source": "", "events": events, "rows": events, "every": every}
    size = once(setting, Contender("data", f"{_AT}.training_set.data", options), folder).figures
    entries = race(setting, contenders(every), folder)
    wrong = compare(setting, entries, folder)
    two, one, own, *_ = entries
    return Measured(
        name="spark",
        title="A training set on Spark",
        method=METHOD,
        headers=["", "seconds", "events/s", "slower by", "largest difference"],
        rows=[_row(entry, two, events) for entry in entries if entry.samples],
        promises=[
            _promise("two cores against one", 1.6, one, two, full=not setting.quick),
            _promise("against PySpark's window functions", 3.0, own, two, full=not setting.quick),
        ],
        notes=[f"{size['events']:,} events, made up; {size['rows']:,} rows"]
        + [f"{entry.name}: skipped: {entry.skipped}" for entry in entries if entry.skipped]
        + [f"DISAGREES: {text}" for text in wrong],
        facts={"size": size, "disagreement": wrong, "contenders": [e.facts() for e in entries]},
    )


def _row(entry: Entry, ours: Entry, events: int) -> list[str]:
    return [
        entry.name,
        f"{entry.wall:.2f}",
        f"{events / entry.wall:,.0f}",
        "" if entry is ours else times(entry.wall / ours.wall),
        "" if entry.difference is None else f"{entry.difference:.1g}",
    ]


def _promise(text: str, wanted: float, other: Entry, ours: Entry, *, full: bool) -> Promise:
    ratio = other.wall / ours.wall if other.samples and ours.samples and full else None
    got = "not measured" if ratio is None else times(ratio)
    return Promise(text, f"at least {wanted:g} x", got, None if ratio is None else ratio >= wanted)
