"""Decisions from Redis: a replica beside the server that owns the log, in one run. Only when it is named."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from benchmarks.harness import Contender, Setting, race
from benchmarks.live import AT, SHARED, bank, generator, ms
from benchmarks.report import Measured, Promise, mebibytes

RATE, SECONDS, TURNS = 300.0, 4.0, 7
SIZES = ("online.rate", "online.seconds", "online.turns")

METHOD = f"""The server that owns the log, with `--online`, and one with `--role decide`, both running, asked
in turns, many and short ones, of which the median counts: an open loop of {RATE:g} decisions/s. Then the same
rate of single events at the owner, which publishes the states that they moved. Redis is on the same machine,
without a disk. {SHARED}"""


def measure(setting: Setting) -> Measured:
    """Run both under the same load."""
    folder, size = bank(setting)
    options = {
        **size,
        "rate": setting.size("online.rate", RATE, 50.0),
        "seconds": setting.size("online.seconds", SECONDS, 1.0),
        "turns": setting.size("online.turns", TURNS, 2),
    }
    (entry,) = race(
        setting, [Contender("headwater", f"{AT}.online", options)], folder, answers=False, slow=math.inf
    )
    found = entry.samples[0].figures
    own, other = (_p99(found[name]) for name in ("embedded", "redis"))
    done = found["published"]
    over = other - own
    return Measured(
        name="online",
        title="Decisions from Redis",
        method=METHOD,
        headers=["", "rate/s", "p50 ms", "p99 ms", "errors"],
        rows=[
            *(
                [
                    f"{name}, turn {turn}",
                    f"{one['rate']:,.0f}",
                    ms(one, "p50"),
                    ms(one, "p99"),
                    f"{one['errors']:,}",
                ]
                for name in ("embedded", "redis")
                for turn, one in enumerate(found[name], 1)
            ),
            [
                "single events at the owner",
                f"{found['events']['rate']:,.0f}",
                ms(found["events"], "p50"),
                ms(found["events"], "p99"),
                f"{found['events']['errors']:,}",
            ],
        ],
        promises=[
            Promise(
                "p99 of decisions from Redis over embedded",
                "at most 2 ms",
                f"{over:+.2f} ms",
                over <= 2.0 if not setting.quick else None,
            )
        ],
        notes=[
            (
                f"a published state: {1e6 * done['seconds'] / done['keys']:,.0f} us beside the writer and "
                f"{done['bytes'] / done['keys']:,.0f} bytes; {done['keys'] / done['writes']:.1f} in a write"
            ),
            f"a fetch: {1e6 * found['fetch_seconds']:,.0f} us",
            f"the generator used {generator(found['redis'][0])}",
            f"the replica held {mebibytes(found['resident'])}",
        ],
        facts={"size": options, "contenders": [entry.facts()]},
    )


def _p99(turns: list[dict[str, Any]]) -> float:
    return median(float(one["latency_ms"]["p99"]) for one in turns)
