"""Measure 8: how soon a score knows of an event, and how many events a second it keeps up with."""

from __future__ import annotations

import math

from benchmarks.harness import Contender, Setting, race
from benchmarks.live import AT, SHARED, bank, generator
from benchmarks.report import Measured, Promise, mebibytes

RATE, BATCH, SECONDS = 2_000.0, 1_000, 10.0
SIZES = ("freshness.rate", "freshness.batch", "freshness.seconds")

METHOD = f"""Events are sent with refresh=true: the answer comes when the event is on disk and every entity
that it touches has its new score (40 features, 200 trees). Single events in an open loop; then batches of
{BATCH:,} from four senders, each sending as it is answered. {SHARED}"""


def measure(setting: Setting) -> Measured:
    """Single events, then batches."""
    folder, size = bank(setting)
    options = {
        **size,
        "rate": setting.size("freshness.rate", RATE, 100.0),
        "batch": int(setting.size("freshness.batch", BATCH, 100)),
        "seconds": setting.size("freshness.seconds", SECONDS, 1.0),
    }
    (entry,) = race(
        setting,
        [Contender("headwater", f"{AT}.freshness", options)],
        folder,
        answers=False,
        slow=math.inf,
    )

    def single(percent: str) -> float:
        return entry.median(lambda one: float(one.figures["singles"]["latency_ms"][percent]))

    def batched(media: str, *path: str) -> float:
        def of(figures: object) -> float:
            for name in path:
                assert isinstance(figures, dict)
                figures = figures[name]
            assert isinstance(figures, float | int)
            return float(figures)

        return entry.median(lambda one: of(one.figures["batches"][media]))

    events = {
        one: batched(one, "kinds", "events", "events", "accepted_per_second") for one in ("arrow", "json")
    }
    percents = ("p50", "p99", "p99.9")
    batch, full = options["batch"], not setting.quick
    first = entry.samples[0].figures
    rows = [
        ["single events, JSON", f"{single_rate(first):,.0f}", *(f"{single(one):.2f}" for one in percents)],
        *(
            [
                f"batches of {batch:,}, {media}",
                f"{events[media]:,.0f}",
                *(f"{batched(media, 'latency_ms', one):.2f}" for one in percents),
            ]
            for media in events
        ),
    ]
    return Measured(
        name="freshness",
        title="8. From event to fresh score",
        method=METHOD,
        headers=["", "events/s", "p50 ms", "p99 ms", "p99.9 ms"],
        rows=rows,
        promises=[
            Promise(
                f"p99 at {options['rate']:,.0f} single events/s",
                "at most 10 ms",
                f"{single('p99'):.2f} ms",
                single("p99") <= 10 if full else None,
            ),
            Promise(
                "events/s in batches, every touched key rescored",
                "at least 50,000",
                f"{max(events.values()):,.0f}",
                max(events.values()) >= 50_000 if full else None,
            ),
        ],
        notes=[
            (
                f"the generator used {generator(first['singles'])} with single events; "
                f"the server held {mebibytes(first['resident'])}"
            )
        ],
        facts={"size": options, "contenders": [entry.facts()]},
    )


def single_rate(figures: dict[str, dict[str, float]]) -> float:
    """Single events that were answered a second."""
    return figures["singles"]["per_second"]
