"""A training set on Spark: one core against two, and against Spark's own window functions.

Ten million card payments, made up in the shape of a public data set; the rows are the payments of a week,
with the twelve features of the measure ``training_set``. Starting Spark, and a run on a hundredth of the
customers, are not timed. Not among the measures that run when none is named: it needs Java, and some minutes.
"""

from __future__ import annotations

from benchmarks.agreement import compare
from benchmarks.harness import Contender, Entry, Setting, once, race
from benchmarks.report import Measured, Promise, times

SIZES = ("spark.events",)
EVENTS = 10_000_000
_AT = "benchmarks.contenders"

METHOD = """Payments of 28,400 customers at 57,000 terminals over half a year (for 10 M events), from one
Parquet file; a row for each payment of one week, with count and mean per customer over 1, 7, 30 days, and
count and share of frauds per terminal over the same windows, moved back by 7 days. Result: all rows, as one
Arrow table in the driver. Every contender has a driver of 5 GiB and 8 shuffle partitions."""


def contenders() -> list[Contender]:
    """Who runs."""
    return [
        Contender("headwater, local[2]", f"{_AT}.spark.headwater", {"cores": 2}),
        Contender("headwater, local[1]", f"{_AT}.spark.headwater", {"cores": 1}),
        Contender("pyspark window functions, local[2]", f"{_AT}.spark.windows", {"cores": 2}),
    ]


def measure(setting: Setting) -> Measured:
    """Run all contenders and compare."""
    folder = setting.folder / "spark"
    folder.mkdir(parents=True, exist_ok=True)
    events = int(setting.size("spark.events", EVENTS, EVENTS / 500))
    options = {"source": "", "events": events, "rows": events}
    size = once(setting, Contender("data", f"{_AT}.training_set.data", options), folder).figures
    entries = race(setting, contenders(), folder)
    wrong = compare(setting, entries, folder)
    two, one, own = entries
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
