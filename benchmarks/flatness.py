"""Measure 3: what an event costs does not depend on how many events lie in its window.

::

    one key, an event per second        · · · · · · · · · · · · · · · · · · · ·
    window of n seconds                             (                          ]    n = 10 to 100,000 events

Every window sees the same events in the same batches, after the same number of events before them, and all
window sizes take turns batch by batch, so that a mood of the machine hits them alike. Late events: one in
ten comes d places late.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Contender, Setting, once
from benchmarks.report import Measured, Promise

SIZES = (10, 100, 1_000, 10_000, 100_000)
LIMIT = 2.0
GROWING = ("quantile",)  # may grow with log n
_AT = "benchmarks.contenders.flatness"

METHOD = """Nanoseconds of processor time per event through Engine.apply(emit=True), one aggregation with
one window at a time, in batches of 16,384 events, windows full; median over the batches, in which the window
sizes take turns. Values are drawn at random, all different; "min, rising" keeps every event in its queue. "10
keys" holds ten times the events. Late events: one in ten comes d places late into a window of 200,000; the
table shows the cost per event of the whole stream. Times by the clock are in the JSON file."""


def measure(setting: Setting) -> Measured:
    """Every aggregation at every window size, for one key and for ten; then late events."""
    folder = setting.folder / "flatness"
    folder.mkdir(parents=True, exist_ok=True)
    sizes = SIZES[:3] if setting.quick else SIZES
    batches = 2 if setting.quick else 11
    rows, tables, missed, worst = [], {}, [], 0.0
    for keys in (1, 10):
        options = {"sizes": sizes, "keys": keys, "late": False, "batches": batches}
        found = _ask(setting, options)
        tables[f"{keys} keys"] = found
        rows += [_row(f"{op}, {_keys(keys)}", costs) for op, costs in found.items()]
        for op, costs in found.items():
            growth = _growth(costs)
            if not op.startswith(GROWING):
                worst = max(worst, growth)
                missed += [f"{op} with {_keys(keys)}: {growth:.2f} x"] if growth > LIMIT else []
    window = 2 * sizes[-1]
    options = {"sizes": (0, *sizes), "keys": 1, "late": True, "window": window}
    late = _ask(setting, options | {"batches": batches})
    tables["late"] = late
    rows += [_late_row(op, costs) for op, costs in late.items()]
    told = not setting.quick
    return Measured(
        name="flatness",
        title="3. Cost per event as windows grow, in nanoseconds",
        method=METHOD,
        headers=[
            "events in the window (or places late)",
            *(f"{size:,}" for size in sizes),
            "dearest / first",
        ],
        rows=rows,
        promises=[
            Promise(
                "the largest over the smallest window, all but quantile",
                f"at most {LIMIT:g} x",
                f"{worst:.2f} x",
                worst <= LIMIT if told else None,
            )
        ],
        notes=missed,
        facts={"sizes": list(sizes), "nanoseconds": tables},
    )


def _ask(setting: Setting, options: dict[str, Any]) -> dict[str, Any]:
    setting.tell(f"  {'late events' if options['late'] else _keys(options['keys'])}")
    found: dict[str, Any] = once(
        setting, Contender("flatness", _AT, options), setting.folder / "flatness"
    ).figures
    return found


def _keys(keys: int) -> str:
    return "1 key" if keys == 1 else f"{keys} keys"


def _growth(costs: dict[str, Any]) -> float:
    """The dearest window size over the smallest."""
    cpu: list[float] = costs["cpu"]
    return max(cpu) / cpu[0]


def _row(name: str, costs: dict[str, Any]) -> list[str]:
    return [name, *(f"{value:,.0f}" for value in costs["cpu"]), f"{_growth(costs):.2f} x"]


def _late_row(op: str, costs: dict[str, Any]) -> list[str]:
    """The ratio is to being hardly late; the stream without late events is in the facts (0 places)."""
    cpu: list[float] = costs["cpu"]
    return [
        f"{op}, one in ten late",
        *(f"{value:,.0f}" for value in cpu[1:]),
        f"{max(cpu[1:]) / cpu[1]:.2f} x",
    ]
