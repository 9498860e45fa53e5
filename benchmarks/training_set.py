"""Measure 2: a training set of 67,080 rows with twelve features, as of each row's moment.

The events are 1,754,155 card payments (public, simulated; given by ``--data``, otherwise made up in the
same shape); the rows are the payments of a week. Features: per customer the count and mean amount over 1,
7 and 30 days; per terminal the count and the share of frauds over the same windows moved back by seven
days, because a fraud is known only a week later.
"""

from __future__ import annotations

from benchmarks.agreement import compare
from benchmarks.harness import Contender, Entry, Setting, once, race
from benchmarks.report import Measured, Promise, mebibytes, times

EVENTS, ROWS = 1_754_155, 67_080
MEMORY = 1 << 30
_AT = "benchmarks.contenders.training_set"

METHOD = f"""{ROWS:,} rows x 12 features as of each row's moment over {EVENTS:,} card payments: per customer
count and mean over 1, 7, 30 days, per terminal count and share of frauds over the same windows, moved back
by 7 days. Result: all rows in their order. Feast joins feature values that somebody has computed before;
computing them after every event (DuckDB, in Feast's environment) is timed apart, and its total is both. A
contender that needs more than 15 s runs once."""


def contenders() -> list[Contender]:
    """Who runs."""
    return [
        Contender("headwater asof", f"{_AT}.headwater"),
        Contender("polars rolling, all events, then the rows", f"{_AT}.polars"),
        Contender("feast 0.67 on DuckDB, as it comes", f"{_AT}.feast", {"ttl_days": 0}, "feast"),
        Contender("feast 0.67 on DuckDB, ttl of 30 days", f"{_AT}.feast", {"ttl_days": 30}, "feast"),
    ]


def measure(setting: Setting) -> Measured:
    """Run all contenders and compare."""
    folder = setting.folder / "training_set"
    folder.mkdir(parents=True, exist_ok=True)
    source = setting.data / "fraud_handbook" / "transactions.parquet" if setting.data else None
    real = bool(source and source.exists() and not setting.quick)
    options = {"source": str(source.absolute()) if source and real else "", "events": EVENTS, "rows": ROWS}
    if setting.quick:
        options |= {"events": EVENTS // 50, "rows": ROWS // 50}
    size = once(setting, Contender("data", f"{_AT}.data", options), folder).figures
    entries = race(setting, contenders(), folder)
    wrong = compare(setting, entries, folder)
    ours = entries[0]
    origin = "the public data set" if real else "made up in the shape of the public data set"
    return Measured(
        name="training_set",
        title="2. A training set, point in time",
        method=METHOD,
        headers=[
            "",
            "seconds",
            "faster by",
            "processor s",
            "less by",
            "of it computing / joining, s",
            "peak memory",
            "largest difference",
        ],
        rows=[_row(entry, ours) for entry in entries if entry.samples],
        promises=_promises(entries, full=not setting.quick),
        notes=[f"{size['events']:,} events: {origin}; {size['rows']:,} rows"]
        + [f"{entry.name}: skipped: {entry.skipped}" for entry in entries if entry.skipped]
        + [f"DISAGREES: {text}" for text in wrong],
        facts={
            "size": size,
            "data": origin,
            "disagreement": wrong,
            "contenders": [e.facts() for e in entries],
        },
    )


def _row(entry: Entry, ours: Entry) -> list[str]:
    parts = {name for sample in entry.samples for name in sample.figures}
    split = f"{entry.figure('computing'):.2f} / {entry.figure('joining'):.2f}" if "joining" in parts else ""
    return [
        entry.name,
        f"{entry.wall:.3f}",
        "" if entry is ours else times(entry.wall / ours.wall),
        f"{entry.cpu:.3f}",
        "" if entry is ours else times(entry.cpu / ours.cpu),
        split,
        mebibytes(entry.peak),
        "" if entry.difference is None else f"{entry.difference:.1g}",
    ]


def _promises(entries: list[Entry], *, full: bool) -> list[Promise]:
    ours, *others = entries
    feast = [entry for entry in others if entry.name.startswith("feast") and entry.samples]
    ratio = feast[0].wall / ours.wall if feast and full else None
    faster = "not measured" if ratio is None else times(ratio)
    whole = bool(ours.figure("rows") == ours.figure("asked"))
    return [
        Promise(
            "faster than Feast as it comes", "at least 60 x", faster, None if ratio is None else ratio >= 60
        ),
        Promise("peak memory", "under 1 GiB", mebibytes(ours.peak), ours.peak < MEMORY),
        Promise("rows returned, in order", "all", f"{ours.figure('rows'):,.0f}", whole),
    ]
