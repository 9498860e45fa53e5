"""A training set on Spark: one core against two, and against Spark's own window functions.

Ten million card payments, made up in the shape of a public data set; a row for every 25th of them (with the
size ``spark.every=0``, for those of a week), with the twelve features of the measure ``training_set``. Each
contender starts Spark, makes the set once, then small sets until Java has compiled what it needs, then the
whole set three times more; start, first run and settling are told apart, and what is behind them compared.
Not among the measures that run when none is named: it needs Java, and thirteen minutes.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.agreement import compare
from benchmarks.contenders.spark.sides import DRIVER, JAVA, TASKS, WORKERS
from benchmarks.harness import Contender, Entry, Setting, once, race
from benchmarks.report import Measured, Promise, times

SIZES = ("spark.events", "spark.every", "spark.times", "spark.small", "spark.parts")
EVENTS, EVERY = 10_000_000, 25
LATER = 3  # runs of a session that has settled
SMALL = 20  # sets of a hundredth, by which it settles: Java compiles what plans, hands out and moves
PART = 100  # a small set has every so many-th event and row
PARTS = 8  # of a shuffle
LIMIT = 900.0  # seconds for a contender
ROUNDS = 2  # a new session in each
SLOW = 40.0  # seconds of a run: whoever takes longer has one round
_AT = "benchmarks.contenders"

METHOD = """Payments of 28,400 customers at 57,000 terminals over half a year (for 10 M events), from one
Parquet file; a row for every 25th payment, with count and mean per customer over 1, 7, 30 days, and count and
share of frauds per terminal over the same windows, moved back by 7 days. Result: all rows, as one Arrow table
in the driver. Every contender has a driver of 5 GiB and 8 shuffle partitions, Headwater 16 buckets. Start:
until Spark has counted the rows. First run: Java compiles in it. Settling: twenty sets of a hundredth of
events and rows, in which Java goes on with that. Seconds: the median of the runs behind them in the same
session. Processor: of such a run, by Java's tasks, the rest of Java (compilers and memory), and Python."""


def contenders(
    every: int = EVERY, later: int = LATER, small: int = SMALL, parts: int = PARTS
) -> list[Contender]:
    """Who runs; for the rows of a week also window functions that get only the events that these rows see."""
    ours, own = f"{_AT}.spark.headwater", f"{_AT}.spark.windows"
    found = [
        ("headwater, local[2]", ours, {"cores": 2}),
        ("headwater, local[1]", ours, {"cores": 1}),
        ("pyspark window functions, local[2]", own, {"cores": 2}),
    ]
    if not every:
        found.append(("pyspark window functions, cut by hand, local[2]", own, {"cores": 2, "cut": True}))
    more = {"small": small, "parts": parts}
    return [
        Contender(name, module, {**options, **more}, times=later, limit=LIMIT)
        for name, module, options in found
    ]


def measure(setting: Setting) -> Measured:
    """Run all contenders and compare."""
    folder = setting.folder / "spark"
    folder.mkdir(parents=True, exist_ok=True)
    events = int(setting.size("spark.events", EVENTS, EVENTS / 500))
    every = int(setting.size("spark.every", EVERY, EVERY))
    later = max(1, int(setting.size("spark.times", LATER, 1)))
    small = int(setting.size("spark.small", SMALL, 1))
    options = {"source": "", "events": events, "rows": events, "every": every, "part": PART}
    size = once(setting, Contender("data", f"{_AT}.training_set.data", options), folder).figures
    setting.tell(f"  {size['events']:,} events, {size['rows']:,} rows; a contender takes a minute or three")
    rounds = replace(setting, rounds=min(setting.rounds, ROUNDS))
    parts = int(setting.size("spark.parts", PARTS, PARTS))
    entries = race(rounds, contenders(every, later, small, parts), folder, slow=SLOW)
    wrong = compare(setting, entries, folder) + _lost(entries, int(size["rows"]))
    two, one, own, *_ = entries
    return Measured(
        name="spark",
        title="A training set on Spark",
        method=METHOD,
        headers=[
            *("", "start s", "first run s", "settling s", "seconds", "events/s", "slower by"),
            *("tasks cpu s", "java cpu s", "python cpu s", "largest difference"),
        ],
        rows=[_row(entry, two, events) for entry in entries if entry.samples],
        promises=[
            _promise("two cores against one, settled", 1.6, one, two, full=not setting.quick),
            _promise("against PySpark's window functions, settled", 3.0, own, two, full=not setting.quick),
        ],
        notes=[f"{size['events']:,} events, made up; {size['rows']:,} rows"]
        + _firsts(one, own, two)
        + [f"{entry.name}: skipped: {entry.skipped}" for entry in entries if entry.skipped]
        + [f"DISAGREES: {text}" for text in wrong],
        facts={"size": size, "disagreement": wrong, "contenders": [e.facts() for e in entries]},
    )


def _row(entry: Entry, ours: Entry, events: int) -> list[str]:
    return [
        entry.name,
        f"{entry.figure('start'):.1f}",
        f"{entry.figure('first'):.1f}",
        f"{entry.figure('settling'):.1f}",
        f"{entry.wall:.2f}",
        f"{events / entry.wall:,.0f}",
        "" if entry is ours else times(entry.wall / ours.wall),
        f"{entry.figure(TASKS):.1f}",
        f"{entry.figure(JAVA):.1f}",
        f"{entry.figure(WORKERS) + entry.figure(DRIVER):.1f}",
        "" if entry.difference is None else f"{entry.difference:.1g}",
    ]


def _lost(entries: list[Entry], rows: int) -> list[str]:
    """Who gave another number of rows than was asked for."""
    return [
        f"{entry.name} gave {int(entry.figure('rows')):,} rows for {rows:,}"
        for entry in entries
        if entry.samples and int(entry.figure("rows")) != rows
    ]


def _firsts(one: Entry, own: Entry, two: Entry) -> list[str]:
    """What the same ratios are in a first run, and what two cores can bring at most."""
    if not (one.samples and two.samples):
        return []
    found = [
        f"{name}: in the first run {_ratio(entry.figure('first'), two.figure('first'))}"
        for name, entry in (("two cores against one", one), ("against window functions", own))
        if entry.samples
    ]
    for run, cpu, wall in (
        ("the first run", one.figure("first_cpu"), one.figure("first")),
        ("a later run", one.cpu, one.wall),
    ):
        busy = max(1.0, cpu / wall)  # less on a machine that is busy with others
        found.append(
            f"in {run} local[1] keeps {busy:.2f} cores busy: two can be {_ratio(2, busy)} as quick at most, "
            "for the same work"
        )
    return found


def _promise(text: str, wanted: float, other: Entry, ours: Entry, *, full: bool) -> Promise:
    if not (other.samples and ours.samples and full):
        return Promise(text, f"at least {wanted:g} x", "not measured", None)
    held = other.wall >= wanted * ours.wall
    return Promise(text, f"at least {wanted:g} x", _ratio(other.wall, ours.wall), held)


def _ratio(some: float, other: float) -> str:
    return f"{some / other:.2f} x"
