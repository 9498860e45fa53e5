"""Measure 9: killed, with a million accounts and ten million payments in the state, and ready again."""

from __future__ import annotations

import statistics

from benchmarks.harness import Contender, Setting, once
from benchmarks.live import AT, bank
from benchmarks.report import Measured, Promise, mebibytes

EVENTS, KEYS, TAIL, KILLS = 10_000_000, 1_000_000, 20_000, 3
DAYS = 85  # less than the longest window: every event is retained
WANTED = 5.0
SIZES = ("ready.events", "ready.keys", "ready.tail", "ready.kills")

METHOD = """The log is filled with {events:,} payments of {keys:,} accounts, all within the longest window of
90 days, 40 features each. The server rises once from the log alone and keeps a snapshot; then it is ended by
kill -9 after some {tail:,} events more, and started again; {kills} times. From the start of the process until
/readyz answers 200: interpreter, imports, model, snapshot and tail. The page cache is warm, as after a crash
of the process and unlike after one of the machine."""


def measure(setting: Setting) -> Measured:
    """Fill, kill, start."""
    folder, _ = bank(setting)
    options = {
        "events": int(setting.size("ready.events", EVENTS, 50_000)),
        "keys": int(setting.size("ready.keys", KEYS, 5_000)),
        "tail": int(setting.size("ready.tail", TAIL, 400)),
        "kills": int(setting.size("ready.kills", KILLS, 1)),
        "days": DAYS,
    }
    setting.tell(f"  filling a log with {options['events']:,} events")
    found = once(setting, Contender("headwater", f"{AT}.ready", options, limit=1_800), folder).figures
    ready, size = statistics.median(found["ready_s"]), found["bytes"]
    return Measured(
        name="ready",
        title="9. Ready again after kill -9",
        method=METHOD.format(**options),
        headers=["", "seconds"],
        rows=[
            ["from the snapshot and the tail, median", f"{ready:.2f}"],
            ["of it as the banner says: snapshot and tail", f"{statistics.median(found['rise_s']):.2f}"],
            ["the slowest", f"{max(found['ready_s']):.2f}"],
            ["from the log alone", f"{found['from_log_s']:.2f}"],
        ],
        promises=[
            Promise(
                f"ready with {options['keys']:,} accounts and {options['events']:,} events",
                f"at most {WANTED:g} s",
                f"{ready:.2f} s",
                None if setting.quick else ready <= WANTED,
            )
        ],
        notes=[
            (
                f"log {mebibytes(size['events.log'])}, snapshots {mebibytes(size['snapshots'])}, memory "
                f"{mebibytes(found['resident'])}; the log was filled in {found['filling_s']:.0f} s"
            )
        ],
        facts={"size": options, "figures": found},
    )
