"""How often drift cries wolf, how soon it sees the wolf, and how long it takes to look.

Quiet data first: forty features of four kinds, entities that recur and move slowly (each feature is an
autoregression of its own entity), weekly windows against one training reference. Then shifts that are
planted one at a time. Run: ``python -m benchmarks.drift [promise|quiet|planted|speed] [--worlds N]``.

The promise is what must hold: of 200 quiet months at most 2 % raise an alarm; of 100 planted shifts at least
95 % are found within two weekly windows, with the right name first. A missed promise ends with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.core.instant import DAY, SECOND, WEEK
from headwater.models.baseline import Baseline
from headwater.models.flow import flow
from headwater.models.forest.tree import Space
from headwater.models.scorer import Kind
from headwater.models.spread import Rows, spread
from headwater.monitoring.drift import DriftReport, compare
from headwater.monitoring.streams import StreamWindow
from headwater.monitoring.verdict import Rule
from headwater.monitoring.window import Window

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

FEATURES = 40
NAMES = tuple(f"feature_{i:02d}" for i in range(FEATURES))
CATEGORIES = ("branch", "web", "phone", "partner", "agent", "other")
SHARES = np.array([0.30, 0.25, 0.20, 0.12, 0.08, 0.05])
CATEGORICAL = range(30, 34)
COUNTS = range(20, 30)
SPARSE = range(34, 40)  # null in one row of a hundred


@dataclass(frozen=True)
class World:
    """Entities whose features move slowly. ``sluggish`` 0 makes rows of one entity independent."""

    seed: int
    entities: int = 2_000
    rows_a_day: int = 100
    sluggish: float = 0.9  # correlation of an entity's feature from one day to the next
    own: float = 0.5  # share of a feature's variance that never moves
    shock: float = 0.0  # standard deviation of what moves all entities together, from week to week

    def rows(self, first: int, days: int, part: int) -> tuple[Float64, Int64, Int64]:
        """Features, entities and times of some days, drawn as one stretch of the same world."""
        fixed = np.random.default_rng([self.seed, 0])
        levels = fixed.normal(size=(self.entities, FEATURES))
        busy = fixed.gamma(1.0, size=self.entities)
        rng = np.random.default_rng([self.seed, 1, part])
        count = rng.poisson(self.rows_a_day, days)
        day = np.repeat(np.arange(days), count)
        who = rng.choice(self.entities, len(day), p=busy / busy.sum())
        moved = self._moved(rng, who, day)
        common = rng.normal(scale=self.shock, size=(days // 7 + 1, FEATURES))[day // 7]
        z = np.sqrt(self.own) * levels[who] + np.sqrt(1 - self.own) * moved + common
        times = (first + day) * DAY + rng.integers(0, DAY, len(day))
        return self._dressed(z, rng, who, levels), who, times

    def _moved(self, rng: np.random.Generator, who: Int64, day: Int64) -> Float64:
        """An autoregression along each entity's rows."""
        state = rng.normal(size=(self.entities, FEATURES))
        last = np.zeros(self.entities, np.int64)
        out = np.empty((len(who), FEATURES))
        noise = rng.normal(size=(len(who), FEATURES))
        for i, (entity, now) in enumerate(zip(who.tolist(), day.tolist(), strict=True)):
            kept = self.sluggish ** (now - last[entity] + 0.1)
            state[entity] = kept * state[entity] + np.sqrt(1 - kept * kept) * noise[i]
            last[entity] = now
            out[i] = state[entity]
        return out

    def _dressed(self, z: Float64, rng: np.random.Generator, who: Int64, levels: Float64) -> Float64:
        """Normal, heavy-tailed, counts, categories, and features with nulls."""
        X = z.copy()
        X[:, 10:20] = np.exp(1.2 * z[:, 10:20])
        X[:, COUNTS] = np.floor(np.exp(0.8 * z[:, COUNTS] - 0.7))
        cuts = np.cumsum(SHARES)[:-1]
        for place in CATEGORICAL:
            X[:, place] = np.searchsorted(np.sqrt(2) * _probit(cuts) / np.sqrt(2), z[:, place])
        gone = (rng.random((len(X), len(SPARSE))) < 0.008) | (levels[who][:, SPARSE] > 2.878)
        X[:, SPARSE] = np.where(gone, np.nan, X[:, SPARSE])
        return X

    def flow_times(self, first: int, days: int, part: int, late: float = 0.0) -> tuple[Int64, Int64]:
        """Events of a stream: a weekday profile, seconds of lateness, ``late`` seconds more."""
        rng = np.random.default_rng([self.seed, 2, part])
        week = np.array([1.0, 1.1, 1.0, 1.1, 1.3, 0.7, 0.5])[(first + np.arange(days)) % 7]
        count = rng.poisson(400 * week * rng.gamma(100, 0.01, days))
        when = np.repeat((first + np.arange(days)) * DAY, count) + rng.integers(0, DAY, count.sum())
        when.sort()
        slow = rng.lognormal(0.5, 1.0, len(when)) + late
        return when, when + (slow * SECOND).astype(np.int64)


def _probit(p: Float64) -> Float64:
    """Quantiles of the normal distribution, by its own table: good to a thousandth, no library."""
    grid = np.linspace(-6, 6, 120_001)
    density = np.exp(-(grid**2) / 2)
    below = np.cumsum(density) / density.sum()
    return grid[np.searchsorted(below, p)]


START = 19_000  # any day
TRAINED = 182
FRESH = 900_000  # seed of worlds that nobody looked at while the method was made


def baseline(world: World) -> Baseline:
    X, who, times = world.rows(START, TRAINED, part=0)
    events = flow(*world.flow_times(START, TRAINED, part=0))
    found = Baseline.learned_from(
        X,
        NAMES,
        categories={NAMES[i]: CATEGORIES for i in CATEGORICAL},
        entities=who,
        times=times,
        flows={"payments": events},
    )
    scores = 1 / (1 + np.exp(-X[:, 0] + 2))
    rest = slice(len(X) * 3 // 4, None)
    first = slice(0, rest.start)
    learned = spread(scores[first], Rows.of(rest.start, who[first], times[first]))
    return found.judged_on(_Logistic(), X[rest], scores[rest], who[rest], times[rest], learned=learned)


class _Logistic:
    """A scorer that the benchmark needs no library for."""

    names = NAMES
    space: Space = "log-odds"
    kind: Kind = "linear"
    why_not_flat: str | None = None

    def score(self, X: Float64) -> Float64:
        return 1 / (1 + np.exp(-X[:, 0] + 2))

    def score_one(self, x: Float64) -> float:
        return float(self.score(x[None])[0])

    def contributions(self, X: Float64) -> tuple[Float64, float]:
        phi = np.zeros(X.shape)
        phi[:, 0] = X[:, 0]
        return phi, -2.0


def windows(world: World, count: int, days: int, step: int) -> Iterator[tuple[Window, StreamWindow]]:
    """Consecutive windows after training: ``days`` long, one every ``step`` days."""
    first, total = START + TRAINED, days + (count - 1) * step
    X, who, times = world.rows(first, total, part=1)
    when, came = world.flow_times(first, total, part=1)
    for i in range(count):
        start, stop = (first + i * step) * DAY, (first + i * step + days) * DAY
        inside = (times >= start) & (times < stop)
        scores = _Logistic().score(X[inside])
        window = Window(start, stop, NAMES, X[inside], who[inside], scores)
        yield window, StreamWindow.of(when, came, start, stop)


def look(base: Baseline, window: Window, events: StreamWindow, step: int) -> DriftReport:
    return compare(base, window, streams={"payments": events}, rule=Rule(every=step * DAY))


def quiet(worlds: int, days: int, step: int, count: int, first: int = 0, **kind: float) -> dict[str, object]:
    """Quiet months: ``worlds`` of them, each with windows enough for thirty days."""
    found: Counter[str] = Counter()
    named: Counter[str] = Counter()
    smallest: list[float] = []
    for seed in range(first, first + worlds):
        world = World(seed, **kind)  # type: ignore[arg-type]
        base = baseline(world)
        levels = []
        for window, events in windows(world, count, days, step):
            report = look(base, window, events, step)
            levels.append(report.level)
            named.update(f"{one.measure}:{one.level}" for one in report.findings)
            smallest += [min(p_values(report))]
        found.update(levels)
        found["months with an alarm"] += "alarm" in levels
        found["months with a watch"] += "watch" in levels or "alarm" in levels
    p = np.sort(smallest)
    return {
        "worlds": worlds,
        "windows": worlds * count,
        "days": days,
        "step": step,
        **kind,
        **found,
        "named": dict(named),
        "smallest p of a window, lowest": [float(f"{x:.1e}") for x in p[:5]],
    }


def p_values(report: DriftReport) -> list[float]:
    parts = [one.findings for one in report.features] + [one.findings for one in report.streams]
    parts += [] if report.score is None else [report.score.findings]
    return [finding.p for part in parts for finding in part]


def planted(worlds: int, first: int = 10_000) -> dict[str, dict[str, int]]:
    """Shifts planted one at a time, two weekly windows to find each."""
    found: dict[str, Counter[str]] = {}
    for seed in range(worlds):
        world = World(first + seed)
        base = baseline(world)
        for name, subject, spoil in _shifts(np.random.default_rng(seed)):
            tally = found.setdefault(name, Counter())
            tally["planted"] += 1
            for number, (window, events) in enumerate(windows(world, 2, 7, 7)):
                spoilt, held = spoil(window, events, world)
                report = look(base, spoilt, held, 7)
                if report.level == "alarm":
                    tally[f"found in window {number + 1}"] += 1
                    tally["named first"] += report.findings[0].subject == subject
                    break
    return {name: dict(tally) for name, tally in found.items()}


Spoil = Callable[[Window, StreamWindow, World], tuple[Window, StreamWindow]]


def _shifts(rng: np.random.Generator) -> list[tuple[str, str, Spoil]]:
    """What is planted, what should be named first, and how it is done."""
    place = int(rng.choice([one for one in range(FEATURES) if one not in CATEGORICAL]))

    def mean(window: Window, events: StreamWindow, _world: World) -> tuple[Window, StreamWindow]:
        X = window.X.copy()
        X[:, place] = _raised(X[:, place], place)
        return _with(window, X), events

    code = int(rng.integers(0, len(CATEGORIES)))
    column = int(rng.choice(CATEGORICAL))

    def vanish(window: Window, events: StreamWindow, _world: World) -> tuple[Window, StreamWindow]:
        X = window.X.copy()
        X[X[:, column] == code, column] = (code + 1) % len(CATEGORIES)
        return _with(window, X), events

    sparse = int(rng.choice(SPARSE))

    def missing(window: Window, events: StreamWindow, _world: World) -> tuple[Window, StreamWindow]:
        X = window.X.copy()
        lost = np.random.default_rng(place).random(len(X)) < 0.09
        X[lost, sparse] = np.nan
        return _with(window, X), events

    def delayed(window: Window, _events: StreamWindow, world: World) -> tuple[Window, StreamWindow]:
        first = window.start // DAY
        when, came = world.flow_times(first - 7, 14, part=7, late=6 * 3_600.0)
        return window, StreamWindow.of(when, came, window.start, window.stop)

    return [
        ("mean +0.5 SD", NAMES[place], mean),
        ("a category vanishes", NAMES[column], vanish),
        ("missing 1 % -> 10 %", NAMES[sparse], missing),
        ("stream six hours late", "payments", delayed),
    ]


def _raised(x: Float64, place: int) -> Float64:
    """Half a standard deviation more; of the logarithm where the tail is heavy; counts stay whole."""
    if 10 <= place < 20:
        return np.asarray(x * np.exp(0.6))
    step = 0.5
    if place in COUNTS:
        step *= float(x.std())
        return np.asarray(x + np.floor(step) + (np.random.default_rng(place).random(len(x)) < step % 1))
    return np.asarray(x + step)


def _with(window: Window, X: Float64) -> Window:
    return Window(window.start, window.stop, window.names, X, window.entities, window.scores)


def promise(months: int = 200, shifts: int = 100, first: int = FRESH) -> dict[str, object]:
    """What must hold, on worlds that the method was not worked out on.

    Args:
        months: quiet ones, each of four weekly windows.
        shifts: to plant, four kinds in turn.
        first: seed of the first world.
    """
    calm = quiet(months, 7, 7, 4, first)
    tallies = planted(-(-shifts // 4), first)
    total = Counter[str]()
    for tally in tallies.values():
        total.update(tally)
    within = total["found in window 1"] + total["found in window 2"]
    alarms = int(str(calm["months with an alarm"]))
    return {
        "quiet months": months,
        "of these with an alarm": alarms,
        "planted shifts": total["planted"],
        "found within two windows": within,
        "the right name first": total["named first"],
        "by kind": tallies,
        "kept": alarms <= 0.02 * months and min(within, total["named first"]) >= 0.95 * total["planted"],
    }


def speed() -> dict[str, float]:
    """Seconds to compare forty features of 100,000 rows, the best of five."""
    world = World(3, entities=20_000, rows_a_day=1_000)
    base = baseline(World(3))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, FEATURES))
    X[:, CATEGORICAL] = rng.integers(0, 6, (100_000, len(CATEGORICAL)))
    who = rng.integers(0, world.entities, len(X))
    window = Window(0, WEEK, NAMES, X, who, _Logistic().score(X))
    best = np.inf
    for _ in range(5):
        begun = time.perf_counter()
        compare(base, window)
        best = min(best, time.perf_counter() - begun)
    return {"seconds": round(best, 3)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what", nargs="?", default="all", choices=["all", "promise", "quiet", "planted", "speed"]
    )
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="seed of the first quiet world")
    asked = parser.parse_args()
    if asked.what == "promise":
        told = promise()
        show(told)
        return 0 if told["kept"] else 1
    if asked.what in ("all", "quiet"):
        kinds: tuple[dict[str, float], ...] = (
            {},
            {"sluggish": 0.0, "own": 0.0},
            {"shock": 0.1},
            {"sluggish": 0.0, "own": 0.0, "shock": 0.1},
        )
        for kind in kinds:
            show(quiet(asked.worlds, 7, 7, 4, asked.first, **kind))
        show(quiet(asked.worlds // 4, 7, 1, 24, asked.first))
    if asked.what in ("all", "planted"):
        show(planted(max(asked.worlds // 4, 1)))
    if asked.what in ("all", "speed"):
        show(speed())
    return 0


def show(found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
