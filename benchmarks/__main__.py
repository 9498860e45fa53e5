"""``python -m benchmarks [name ...]``: measure, show tables, write JSON. ``make bench`` calls it.

Ends with 1 if contenders disagree about the result or a measure fails; a missed promise is shown, and is
an error only with ``--strict``, because a busy machine misses them too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import (
    decisions,
    flatness,
    freshness,
    kafka,
    kafka_demo,
    live,
    memory,
    online,
    page,
    ready,
    retrain,
    scripts,
    soak,
    spark,
    training_set,
    windows,
)
from benchmarks.harness import Setting, stopwatch
from benchmarks.machine import busy, machine, pin
from benchmarks.report import Measured, show

MEASURES: dict[str, Callable[[Setting], Measured]] = {
    "windows": windows.measure,
    "training_set": training_set.measure,
    "flatness": flatness.measure,
    "memory": memory.measure,
    "score_row": scripts.score_row,
    "log_append": scripts.log_append,
    "decisions": decisions.measure,
    "freshness": freshness.measure,
    "ready": ready.measure,
    "soak": soak.measure,
    "retrain": retrain.measure,
    "spark": spark.measure,
    "kafka": kafka.measure,
    "kafka_demo": kafka_demo.measure,
    "online": online.measure,
}
ASKED = ("spark", "kafka", "kafka_demo", "online")  # only when they are named
SIZES = (
    *live.SIZES,
    *decisions.SIZES,
    *freshness.SIZES,
    *ready.SIZES,
    *soak.SIZES,
    *retrain.SIZES,
    *spark.SIZES,
    *kafka.SIZES,
    *kafka_demo.SIZES,
    *online.SIZES,
)
THREADS = 2
WIDTH = 130  # of what goes to a file


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    threads = pin(THREADS)
    place: Path = arguments.json.parent
    place.mkdir(parents=True, exist_ok=True)
    setting = Setting(
        folder=arguments.folder,
        data=arguments.data,
        quick=arguments.quick,
        rounds=arguments.rounds,
        threads=threads,
        sizes=dict(arguments.size),
        tell=lambda line: console.print(line, style="dim", highlight=False),
    )
    facts = machine()
    versions = ", ".join(f"{name} {found}" for name, found in facts["versions"].items())
    console.print(
        f"{facts['processor']}, {threads} of {facts['cores']} cores, {facts['memory_gib']} GiB, "
        f"{facts['system']}, Python {facts['python']}; {versions}",
        highlight=False,
    )
    if busy(facts):
        console.print(busy(facts), style="yellow")
    elapsed = stopwatch()
    results, failed = [], []
    for name in arguments.names or [name for name in MEASURES if name not in ASKED]:
        console.print(f"\nmeasuring {name}", highlight=False)
        try:
            results.append(MEASURES[name](setting))
        except RuntimeError as fault:
            failed.append(name)
            console.print(f"  failed: {fault}", style="bold red")
    if setting.quick:
        console.print("\nA quick run, of small sizes: it shows that all of this works, and no figure counts.")
    for measured in results:
        show(measured, console)
    took = elapsed()
    content = {
        "machine": facts,
        "threads": threads,
        "quick": setting.quick,
        "seconds": round(took, 1),
        "failed": failed,
    }
    content["measures"] = {measured.name: measured.json() for measured in results}
    arguments.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    if arguments.page:
        text: str = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(page.fill(text, content), encoding="utf-8")
    console.print(f"\n{took:,.0f} s; everything behind the tables is in {arguments.json}", highlight=False)
    return 1 if failed else _verdict(results, strict=arguments.strict)


def _verdict(results: Sequence[Measured], *, strict: bool) -> int:
    wrong = any(measured.facts.get("disagreement") for measured in results)
    missed = any(promise.kept is False for measured in results for promise in measured.promises)
    return 1 if wrong or (strict and missed) else 0


def _size(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    if name not in SIZES:
        raise argparse.ArgumentTypeError(f"no size {name!r}: one of {', '.join(SIZES)}")
    try:
        return name, float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{name} takes a number") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Headwater against others."
    )
    parser.add_argument(
        "names", nargs="*", choices=[*MEASURES, []], help=f"of {', '.join(MEASURES)}; all by default"
    )
    parser.add_argument(
        "--json", type=Path, default=Path("build/bench/results.json"), help="where the figures go"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("HEADWATER_DATA"),
        help="folder with fraud_handbook/transactions.parquet; made up in the same shape without it",
    )
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where input is put")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--page", type=Path, help="a page of the documentation to be given the figures")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, nothing installed")
    parser.add_argument(
        "--size",
        type=_size,
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="a size in place of a measure's own, such as soak.seconds=60; repeatable",
    )
    parser.add_argument("--strict", action="store_true", help="a missed promise is an error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
