"""Measure 7: a decision over HTTP with everything, beside servers of features alone and of a model alone.

Headwater: 40 windowed features as of now, a forest of 200 trees of 31 leaves, score, band, four reasons, and
the record on disk before the answer. Feast's feature server gives 40 values that somebody brought in;
the servers of MLflow and BentoML score 40 values that the caller brings.
"""

from __future__ import annotations

import math
from typing import Any

from benchmarks.harness import Contender, Entry, Setting, race
from benchmarks.live import AT, SHARED, bank, generator, ms
from benchmarks.report import Measured, Promise, mebibytes, times

RATE, SECONDS = 300.0, 10.0
SIZES = ("decisions.rate", "decisions.seconds")

METHOD = f"""Each server as its makers say, one worker, in a process of its own, in turns. First the top
rate: eight connections, each sending as it is answered. Then an open loop of {RATE:g} requests/s, or of seven
tenths of its top rate for whoever takes less. {SHARED}"""


def contenders(options: dict[str, Any]) -> list[Contender]:
    """Who runs."""
    return [
        Contender("headwater: everything", f"{AT}.headwater", options),
        Contender(
            "feast 0.67 feature server, as it comes: features only",
            f"{AT}.feast",
            options | {"tuned": False},
            server="feast",
        ),
        Contender(
            "feast 0.67 feature server, never restarting: features only",
            f"{AT}.feast",
            options | {"tuned": True},
            server="feast",
        ),
        Contender("MLflow models serve: model only", f"{AT}.mlflow", options),
        Contender("BentoML: model only", f"{AT}.bentoml", options, server="bentoml"),
    ]


def measure(setting: Setting) -> Measured:
    """Run all servers under the same load."""
    folder, size = bank(setting)
    options = {
        **size,
        "rate": setting.size("decisions.rate", RATE, 50.0),
        "seconds": setting.size("decisions.seconds", SECONDS, 1.0),
    }
    those = contenders(options)[: 3 if setting.quick else None]
    entries = race(setting, those, folder, answers=False, slow=math.inf)
    ran = [entry for entry in entries if entry.samples]
    sample = entries[0].samples[0].figures
    return Measured(
        name="decisions",
        title="7. A decision over HTTP",
        method=METHOD,
        headers=["", "top rate/s", "its p99 ms", "steady rate/s", "p50 ms", "p99 ms", "errors", "memory"],
        rows=[_row(entry) for entry in ran],
        promises=_promises(entries, full=not setting.quick),
        notes=[
            (
                f"headwater: {sample['features']} features, {sample['reasons']} reasons in a decision; "
                f"{size['events']:,} events of {size['keys']:,} accounts behind it"
            )
        ]
        + [
            f"{entry.name}: the generator used {generator(entry.samples[0].figures['steady'])}"
            for entry in ran
        ]
        + [f"{entry.name}: skipped: {entry.skipped}" for entry in entries if entry.skipped],
        facts={"size": options, "contenders": [entry.facts() for entry in entries]},
    )


def _top(entry: Entry) -> float:
    return entry.median(lambda sample: float(sample.figures["top"]["per_second"]))


def _latency(entry: Entry, percent: str) -> float:
    return entry.median(lambda sample: float(sample.figures["steady"]["latency_ms"][percent]))


def _row(entry: Entry) -> list[str]:
    figures = entry.samples[0].figures
    return [
        entry.name,
        f"{_top(entry):,.0f}",
        ms(figures["top"], "p99"),
        f"{figures['steady']['rate']:,.0f}",
        *(f"{_latency(entry, percent):.2f}" for percent in ("p50", "p99")),
        f"{figures['top']['errors'] + figures['steady']['errors']:,}",
        mebibytes(entry.figure("resident")),
    ]


def _promises(entries: list[Entry], *, full: bool) -> list[Promise]:
    ours, feast, tuned, *_ = entries
    p50, p99 = (_latency(ours, percent) for percent in ("p50", "p99"))
    sample = ours.samples[0].figures
    whole = sample["features"] == 40 and sample["reasons"] == 4
    return [
        Promise("p50 at 300/s", "at most 2 ms", f"{p50:.2f} ms", p50 <= 2.0 if full else None),
        Promise("p99 at 300/s", "at most 6.6 ms", f"{p99:.2f} ms", p99 <= 6.6 if full else None),
        _over(ours, feast, "Feast's feature server, as it comes"),
        _over(ours, tuned, "Feast's feature server, never restarting"),
        Promise("features and reasons", "40 and 4", f"{sample['features']} and {sample['reasons']}", whole),
    ]


def _over(ours: Entry, other: Entry, name: str) -> Promise:
    """Five times another's rate."""
    if not other.samples:
        return Promise(f"top rate over {name}", "at least 5 x", "not measured", None)
    ratio = _top(ours) / _top(other)
    return Promise(f"top rate over {name}", "at least 5 x", times(ratio), ratio >= 5)
