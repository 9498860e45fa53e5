"""Makes the input, the same bits each time: columns as ``.npy`` files, in the order of the log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.work import Work

DAY = 86_400_000_000
START = 725_846_400_000_000  # 1993-01-01T00:00:00Z in microseconds
LENGTH = 6 * 365 * DAY
SPANS = {"7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}
FILTERED = (
    ("credit", "amount", "is_credit"),
    ("debit", "amount", "is_debit"),
    ("cash", "balance", "is_cash"),
)

Array = npt.NDArray[np.generic]


def prepare(work: Work) -> Callable[[], int]:
    return lambda: _make(work)


def figures(result: int) -> dict[str, int]:
    return {"events": result}


def columns(work: Work) -> tuple[dict[str, Array], Array]:
    """The input for a contender's share of the keys, and the places of its rows in the whole."""
    found = {path.stem: np.load(path) for path in sorted((work.data / "input").glob("*.npy"))}
    share = float(work.options.get("share", 1.0))
    rows = np.flatnonzero(found["key"] < share * (found["key"].max() + 1))
    return {name: column[rows] for name, column in found.items()}, rows


def _make(work: Work) -> int:
    """Accounts open within the first four years and are more or less busy from then on."""
    random = np.random.default_rng(20_260_101)
    events, keys = int(work.options["events"]), int(work.options["keys"])
    opened = random.integers(0, 4 * 365 * DAY, keys)
    busy = (LENGTH - opened) * random.gamma(6.0, 1.0, keys)
    key = random.choice(keys, size=events, p=busy / busy.sum())
    time = opened[key] + (random.random(events) * (LENGTH - opened[key])).astype(np.int64)
    order = np.argsort(time, kind="stable")
    place = np.arange(events)
    time = START + place + np.maximum.accumulate(time[order] - place)  # each moment once
    credit = random.random(events) < 0.4
    made = {
        "key": key[order],
        "time": time,
        "amount": np.round(random.lognormal(7.5, 1.2, events), 2),
        "balance": np.round(random.normal(40_000, 20_000, events), 2),
        "is_credit": credit,
        "is_debit": ~credit,
        "is_cash": random.random(events) < 0.25,
    }
    (work.data / "input").mkdir(exist_ok=True)
    for name, column in made.items():
        np.save(work.data / "input" / f"{name}.npy", column)
    return events
