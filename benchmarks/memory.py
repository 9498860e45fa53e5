"""Measure 4: what a retained event costs in memory.

Ten million events of ten thousand keys, all inside the window, so all retained; views that aggregate none to
four columns, and each aggregation by itself. Two figures: what the state says it uses, and what the process
grew by (with the growing blocks' unused pages, and whatever the allocator keeps).
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import Contender, Setting, once
from benchmarks.report import Measured, Promise

EVENTS, KEYS = 10_000_000, 10_000
FIXED, PER_COLUMN = 24, 8
_AT = "benchmarks.contenders.memory"

METHOD = f"""{EVENTS:,} retained events of {KEYS:,} keys, fed in batches of 250,000, each view in a process of
its own. Bytes per event: what the state holds (keys' rows included, a thousand events each), and what the
process grew by while it was fed. Single aggregations: {EVENTS // 10:,} events of {KEYS // 10:,} keys."""


def measure(setting: Setting) -> Measured:
    """None to four columns, then every aggregation."""
    folder = setting.folder / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    scale, counts = (100, (0, 1)) if setting.quick else (1, (0, 1, 2, 3, 4))
    size = {"events": EVENTS // scale, "keys": KEYS // scale, "threads": setting.threads}
    columns = [_ask(setting, size | {"columns": count}) for count in counts]
    size["events"] //= 10
    size["keys"] //= 10
    single: dict[str, Any] = _ask(setting, size | {"columns": -1})
    rows = [_row(f"{count} columns (count and sums)", found, count) for count, found in enumerate(columns)]
    rows += [_row(op, found, found["columns"]) for op, found in single.items()]
    return Measured(
        name="memory",
        title="4. Memory per retained event, in bytes",
        method=METHOD,
        headers=["", "state says", "process grew by", "allowed"],
        rows=rows,
        promises=[
            _promise("count and sums of columns", dict(enumerate(columns)), dict(enumerate(counts))),
            _promise("each aggregation", single, {op: found["columns"] for op, found in single.items()}),
        ],
        facts={"columns": columns, "single": single, "events": EVENTS // scale, "keys": KEYS // scale},
    )


def _ask(setting: Setting, options: dict[str, Any]) -> dict[str, Any]:
    setting.tell(f"  {options['columns']} columns" if options["columns"] >= 0 else "  each aggregation")
    return once(setting, Contender("memory", _AT, options), setting.folder / "memory").figures


def _row(name: str, found: dict[str, Any], columns: int) -> list[str]:
    grew = f"{found['grew']:.1f}" if found["grew"] else ""
    return [name, f"{found['state']:.1f}", grew, f"{FIXED + PER_COLUMN * columns}"]


def _promise(text: str, found: dict[Any, Any], columns: dict[Any, int]) -> Promise:
    over = {name: each["state"] - FIXED - PER_COLUMN * columns[name] for name, each in found.items()}
    worst = max(over, key=lambda name: over[name])
    got = f"at most {-over[worst]:.1f} below" if over[worst] <= 0 else f"{over[worst]:.1f} above ({worst})"
    return Promise(f"bytes per event, {text}", f"{FIXED} + {PER_COLUMN} per column", got, over[worst] <= 0)
