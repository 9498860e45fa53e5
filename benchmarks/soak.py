"""Measure 10: ten minutes at half of what it takes: flat memory, no error, the same bits."""

from __future__ import annotations

from benchmarks.harness import Contender, Setting, once
from benchmarks.live import AT, SHARED, bank, generator, ms
from benchmarks.report import Measured, Promise, mebibytes

SECONDS, SHARE, LIMIT = 600.0, 0.8, 0.02
SIZES = ("soak.seconds", "soak.share")

METHOD = f"""Four decisions to one event with refresh=true. The top rate of this mix is found with eight
connections, then half of it is sent in an open loop, while snapshots are kept and the parity sampler derives
served vectors again from the log. Memory of the server and its children: the median of each third of the
time. {SHARED}"""


def measure(setting: Setting) -> Measured:
    """Find half of the top rate, and hold it."""
    folder, size = bank(setting)
    seconds = setting.size("soak.seconds", SECONDS, 3.0)
    options = {
        **size,
        "seconds": seconds,
        "share": setting.size("soak.share", SHARE, SHARE),
        "find": 1.0 if setting.quick else 5.0,
        "snapshot_every": 1.0 if setting.quick else 30.0,
        "settle": 20.0,
    }
    setting.tell(f"  {seconds:,.0f} s at half the top rate")
    contender = Contender("headwater", f"{AT}.soak", options, limit=seconds + 300)
    found = once(setting, contender, folder).figures
    steady, thirds, counters = found["steady"], found["thirds"], found["counters"]
    growth = thirds[2] / thirds[1] - 1
    compared, wrong = (counters[f"headwater_parity_{one}_total"] for one in ("compared", "mismatches"))
    rows = [
        ["requests/s, and at the top", f"{steady['per_second']:,.0f} of {found['top']['per_second']:,.0f}"],
        ["p50 / p99 / p99.9 ms", " / ".join(ms(steady, one) for one in ("p50", "p99", "p99.9"))],
        ["errors of requests", f"{steady['errors']:,} of {steady['good'] + steady['errors']:,}"],
        ["memory, first third", mebibytes(thirds[0])],
        ["memory, second third", mebibytes(thirds[1])],
        ["memory, last third", mebibytes(thirds[2])],
        ["served vectors derived again, of other bits", f"{compared:,.0f}, {wrong:,.0f}"],
    ]
    return Measured(
        name="soak",
        title=f"10. {seconds:,.0f} seconds at half the top rate",
        method=METHOD,
        headers=["", ""],
        rows=rows,
        promises=[
            Promise(
                "memory, last third over second",
                f"within {LIMIT:.0%}",
                f"{growth:+.1%}",
                None if setting.quick else abs(growth) <= LIMIT,
            ),
            Promise("errors", "none", f"{steady['errors']:,}", steady["errors"] == 0),
            Promise(
                "parity mismatches",
                "none",
                f"{wrong:,.0f} of {compared:,.0f}",
                wrong == 0 if compared else None,
            ),
        ],
        notes=[f"the generator used {generator(steady)}"],
        facts={"size": options, "figures": found, "disagreement": [f"{wrong:,.0f} vectors"] if wrong else []},
    )
