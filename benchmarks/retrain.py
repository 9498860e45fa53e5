"""Measure 11: a weekly retraining of a large log, and what decisions feel of it."""

from __future__ import annotations

from benchmarks.harness import Contender, Setting, once
from benchmarks.live import AT, SHARED, bank, generator, ms
from benchmarks.report import Measured, Promise, times

EVENTS, KEYS, RATE, SECONDS = 1_750_000, 5_000, 100.0, 20.0
SIZES = ("retrain.events", "retrain.keys", "retrain.rate", "retrain.seconds")
LIMIT, RATIO = 60.0, 1.5

METHOD = f"""A log of {EVENTS:,} events, one in ten of them an observation with 40 features. `headwater
retrain` (replay, a judged model, a registered one, MLflow) and then `headwater gate`, two processes one after
the other with one thread and the lowest priority, beside a server of the same log. There {RATE:g} decisions a
second come in an open loop, for {SECONDS:g} seconds before and for {SECONDS:g} while it trains. {SHARED}"""


def measure(setting: Setting) -> Measured:
    """Decisions alone, and while it is trained."""
    folder, size = bank(setting, "retrain", EVENTS, KEYS)
    options = {
        **size,
        "rate": setting.size("retrain.rate", RATE, 20.0),
        "seconds": setting.size("retrain.seconds", SECONDS, 2.0),
    }
    sample = once(setting, Contender("headwater", f"{AT}.retrain", options, limit=600), folder)
    found, full = sample.figures, not setting.quick
    trained, quiet, during = (found[name] for name in ("trained", "quiet", "during"))
    rows = [
        ["retrain and gate, s", _seconds(trained), ""],
        *(
            [f"decisions, {percent} ms: quiet, and during it", ms(quiet, percent), ms(during, percent)]
            for percent in ("p50", "p99")
        ),
    ]
    ratio = during["latency_ms"]["p99"] / quiet["latency_ms"]["p99"]
    told = full and found["at_work_throughout"]
    return Measured(
        name="retrain",
        title=f"11. Retraining on {options['events']:,} events while it serves",
        method=METHOD,
        headers=["", "", ""],
        rows=rows,
        promises=[
            Promise(
                "from log to gated candidate, while it serves",
                f"at most {LIMIT:g} s",
                f"{trained['seconds']:.1f} s",
                trained["seconds"] <= LIMIT if full else None,
            ),
            Promise(
                "p99 of decisions during it over the quiet one",
                f"at most {RATIO:g} x",
                times(ratio),
                ratio <= RATIO if told else None,
            ),
        ],
        notes=[
            (
                f"the generator used {generator(during)} during it; "
                f"{quiet['errors'] + during['errors']:,} requests failed"
            )
        ],
        facts={"size": options, "figures": found},
    )


def _seconds(told: dict[str, float]) -> str:
    return f"{told['seconds']:.1f} = {told['retrain']:.1f} + {told['gate']:.1f}"
