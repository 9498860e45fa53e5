"""Measures 5 and 6, which are programs of their own: scoring a row, and the log's appends and scans.

Each can be run by itself; here they are run as they are, and what they print and write is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Setting
from benchmarks.report import Measured, Promise

LIMIT = 900  # seconds for one program


def score_row(setting: Setting) -> Measured:
    """Measure 5: score and explain one row."""
    measured = _run(setting, "score_row", "5. Score and explain one row")
    found = measured.facts.get("figures", {}).get("median", {})
    slowest = {True: 0.0, False: 0.0}
    for name, each in found.items():
        if name.startswith("headwater"):
            explained = "TreeSHAP" in name
            slowest[explained] = max(slowest[explained], each["p50_us"])
    promises = [
        Promise(text, f"at most {most} us", f"{slowest[explained]:,.0f} us", slowest[explained] <= most)
        for text, explained, most in (
            ("a score, median call, the slowest library's model", False, 20),
            ("a score with its contributions, median call", True, 500),
        )
        if slowest[explained]
    ]
    return Measured(**{**vars(measured), "promises": promises})


def log_append(setting: Setting) -> Measured:
    """Measure 6: durable appends and scans of the log."""
    measured = _run(setting, "log_append", "6. The log")
    found = measured.facts.get("figures", {}).get("median", {}).get("headwater", {})
    wanted = (
        ("durable appends of one event", "singles_per_s", 3_000),
        ("events in durable batches of 1,000", "batched_events_per_s", 500_000),
        ("scan of batches", "scan_batched_events_per_s", 5_000_000),
    )
    promises = [
        Promise(text, f"at least {least:,}/s", f"{found[key]:,.0f}/s", found[key] >= least)
        for text, key, least in wanted
        if key in found
    ]
    return Measured(**{**vars(measured), "promises": promises})


def _run(setting: Setting, name: str, title: str) -> Measured:
    """Run ``benchmarks/NAME.py --json FILE``."""
    script, target = Path(__file__).with_name(f"{name}.py"), (setting.folder / f"{name}.json").absolute()
    if not script.exists() or setting.quick:
        reason = "not in a quick run" if script.exists() else "there is no such program yet"
        return _measured(name, title, [], {"skipped": reason}, notes=[f"skipped: {reason}"])
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(target)]
    command += ["--rounds", str(setting.rounds)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return _measured(
            name, title, [], {"skipped": "too slow"}, notes=[f"skipped: not done within {LIMIT} s"]
        )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    notes = [] if done.returncode == 0 else [f"ended with {done.returncode}: {done.stderr.strip()[-200:]}"]
    figures: dict[str, Any] = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    return _measured(name, title, lines, {"figures": figures}, notes)


def _measured(name: str, title: str, lines: list[str], facts: dict[str, Any], notes: list[str]) -> Measured:
    return Measured(
        name=name,
        title=title,
        method=f"benchmarks/{name}.py, run as it is; it states its own method.",
        headers=[""],
        rows=[[line] for line in lines],
        notes=notes,
        facts=facts,
    )
