"""``python -m benchmarks.loop``: four lives of one model, as table, picture and JSON.

A promise that is missed is told, and is an error only with ``--strict``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness import stopwatch
from benchmarks.loop.kept import code, folder_of
from benchmarks.loop.life import Lives, Size
from benchmarks.loop.lives import AFTER, LIVES
from benchmarks.loop.picture import draw
from benchmarks.loop.recovery import COSTS, RETRAINS, WANTED, Share, counts, shares, weekly
from benchmarks.loop.together import together
from benchmarks.machine import machine, pin
from headwater.models.metrics import Metric

QUICK = Size(accounts=400, before=2, after=3, bootstrap=20)
SEEDS = (7, 8)
_DIGITS = {"auc": 3, "brier": 4, "cost": 2}
COUNTED = 6  # retrainings that are shown by number
PROMISED = "matured"  # before that no outcome of the new regime is known, whatever the loop does
_TOLD = {
    "change": "from the change on (no outcome of it is known before the thirty-first day)",
    "matured": "from the first whose window holds known outcomes of the new regime",
    "whole": "from the first whose window holds known outcomes of the whole new regime",
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    console = Console(width=None if Console().is_terminal else 120)
    threads, elapsed = pin(2), stopwatch()
    size = QUICK if arguments.quick else Size(accounts=arguments.accounts)
    seeds = arguments.seed or ([size.seed] if arguments.quick else SEEDS)
    home = arguments.folder / "lives"
    digest = arguments.code or code()
    folders = {seed: folder_of(home, replace(size, seed=seed), digest) for seed in seeds}
    try:
        worlds = together(size, folders, threads, arguments.until)
    except KeyboardInterrupt:
        console.print(f"stopped; the same command goes on from the last turn, kept in {home}")
        return 130
    weeks, found, starts = weekly(worlds), shares(worlds), counts()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    promoted = [turn.week for one in worlds for turn in one.turns if turn.verdict == "promote"]
    title = f"Four lives of one model, {len(worlds)} x {size.accounts:,} accounts"
    picture = arguments.picture or arguments.folder / "loop.svg"
    draw(weeks, promoted, picture, title)
    content = _content(worlds, weeks, found, starts, threads, elapsed(), quick=arguments.quick)
    target = arguments.folder / "loop.json"
    target.write_text(json.dumps(content, indent=1, allow_nan=True) + "\n", encoding="utf-8")
    console.print(_table(weeks))
    for line in _sentences(worlds, found, starts):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(_counted(found, starts))
    if arguments.quick:
        console.print("A quick run: it shows that all of this works, and no figure counts.")
    console.print(f"{elapsed():,.0f} s; {picture} and {target}", style="dim", highlight=False)
    kept = bool(content["recovery"][PROMISED]["kept"])
    return 1 if arguments.strict and not kept and not arguments.quick else 0


def _content(
    worlds: Sequence[Lives],
    weeks: Sequence[dict[str, Any]],
    found: Sequence[Share],
    starts: dict[str, int],
    threads: int,
    seconds: float,
    *,
    quick: bool,
) -> dict[str, Any]:
    return {
        "machine": machine(),
        "threads": threads,
        "quick": quick,
        "seconds": round(seconds, 1),
        "worlds": [asdict(one.size) for one in worlds],
        "costs": COSTS,
        "weeks": list(weeks),
        "turns": [[asdict(turn) for turn in one.turns] for one in worlds],
        "shares": [share.json() for share in found],
        "recovery": {name: _recovered(found, start) for name, start in starts.items()},
    }


def _recovered(found: Sequence[Share], start: int) -> dict[str, Any]:
    """Three retrainings from a week on: what the loop had got back by the third one."""
    third = next((share for share in found if share.week == start + RETRAINS - 1), None)
    lasting = list(takewhile(_enough, reversed([share for share in found if share.week >= start])))
    return {
        "first_week": start,
        "third": None if third is None else third.json(),
        "kept": third is not None and _enough(third),
        "retrains_needed": lasting[-1].week - start + 1 if lasting else None,
    }


def _enough(share: Share) -> bool:
    """The loop's own champion counts, not a candidate that its gate may have held."""
    return share.taken.value > 0 and share.champion.value >= WANTED


def _table(weeks: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("week", "decisions", "charged"):
        table.add_column(name, justify="right")
    for figure in _DIGITS:
        for life in LIVES:
            table.add_column(f"{figure if life == LIVES[0] else ''}\n{life}", justify="right")
    for week in weeks:
        figures = [f"{week[life][name]:.{digits}f}" for name, digits in _DIGITS.items() for life in LIVES]
        table.add_row(f"{week['week']:+d}", f"{week['rows']:,}", f"{week['positives']:,}", *figures)
    return table


def _sentences(worlds: Sequence[Lives], found: Sequence[Share], starts: dict[str, int]) -> Iterator[str]:
    turns = [turn for one in worlds for turn in one.turns]
    promoted = sum(turn.verdict == "promote" for turn in turns)
    yield f"{len(turns)} retrainings, {promoted} promoted by the gate. What a retraining brought back, in"
    yield f"expected AUC on the {AFTER} weeks after it, of what the change had taken from the first model:"
    for share in found:
        fell = share.realised
        yield (
            f"  week {share.week:+d}: {share.regained.value:+.4f} of {share.taken.value:.4f}, "
            f"{share.share.value:.0%} ({share.share.low:.0%} to {share.share.high:.0%}); "
            f"the champion by then {share.champion.value:.0%} "
            f"({share.champion.low:.0%} to {share.champion.high:.0%}); "
            f"by the outcomes as they fell {fell[1]:+.4f} of {fell[0]:+.4f}"
        )
    for name, start in starts.items():
        told = _recovered(found, start)
        third, needed = told["third"], told["retrains_needed"]
        if third is None:
            yield f"Third retraining {_TOLD[name]}: not lived to see it."
            continue
        when = (
            f"from retraining {needed} on it stays at {WANTED:.0%} or more"
            if needed
            else f"at the end it is not at {WANTED:.0%}"
        )
        yield (
            f"Third retraining {_TOLD[name]}: the loop has {third['champion'][0]:.0%}, wanted {WANTED:.0%}: "
            + ("kept" if told["kept"] else "MISSED")
            + f"; {when}."
        )


def _counted(found: Sequence[Share], starts: dict[str, int]) -> Table:
    """The loop's own share by the number of the retraining, counted in each way."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("retraining", justify="right")
    for name, start in starts.items():
        table.add_column(f"since {name}\n(week {start:+d} is 1)", justify="right")
    by_week = {share.week: share for share in found}
    for number in range(1, COUNTED + 1):
        shares_ = [by_week.get(start + number - 1) for start in starts.values()]
        cells = ["-" if one is None else _cell(one.champion) for one in shares_]
        table.add_row(str(number), *cells, style="bold" if number == RETRAINS else None)
    return table


def _cell(share: Metric) -> str:
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--accounts", type=int, default=Size.accounts, help="of each lender")
    parser.add_argument(
        "--seed", type=int, action="append", help="of a lender; repeat it for several  [default: 7 and 8]"
    )
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="where table and picture go")
    parser.add_argument("--until", type=int, metavar="WEEK", help="retrain no later than in this week")
    parser.add_argument("--code", help="go on with, and judge, lives that code of this digest began")
    parser.add_argument("--picture", type=Path, help="the picture's file  [default: FOLDER/loop.svg]")
    parser.add_argument("--quick", action="store_true", help="a small world and few weeks; no figure counts")
    parser.add_argument("--strict", action="store_true", help="a missed promise is an error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
