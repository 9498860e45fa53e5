"""The demo: a simulated lender goes from raw events to explained decisions, and everything is measured.

::

    simulate ──► import ──► train ──► replay the past ──► go live ──► judge ──► explain, replay
    (a bank)     (the log)  (MLflow)  (state)             (events)    (labels)  (one decision)

The past is imported in bulk; the last eight weeks come event by event through the durable log, as if live.
The numbers on the page are those of this run. Called by ``headwater demo``; needs no file and no network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from headwater.apps.demo.compare import Comparison, compare
from headwater.apps.demo.figures import of_decision, of_live, of_training, of_worth, telling
from headwater.apps.demo.going_live import LiveRun, go_live, live_events
from headwater.apps.demo.lender import Lender, simulate
from headwater.apps.demo.page import show
from headwater.apps.demo.place import Place, prepare
from headwater.core.clock import Clock, SystemClock
from headwater.core.instant import DAY, iso
from headwater.definitions.loading import load_project
from headwater.definitions.project import Project
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.log.ingest import Incoming, import_history
from headwater.serving.decide import Decider
from headwater.serving.live import Live
from headwater.serving.replay import Replayed, replay
from headwater.serving.scoring import Scoring
from headwater.store.decisions import DecisionStore
from headwater.store.definitions import DefinitionStore
from headwater.store.snapshots import Snapshots
from headwater.training.labels import gap
from headwater.training.train import Plan, TrainedModel, open_registry, train

LIVE = 57 * DAY
TESTED = 14 * DAY  # of the past, the last stretch with known labels: what training judges itself on
KEYS = ("account_id",)

Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """What a part of the demo took: wall and processor seconds."""

    name: str
    wall: float
    cpu: float


class Stages:
    """Runs the demo's parts one after the other: a bar for each, and its time."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self.done: list[Stage] = []
        self._bars = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=40),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bars.stop()

    @contextmanager
    def stage(self, name: str, total: int = 1) -> Iterator[Tell]:
        """One part: yields what tells how much of ``total`` is done."""
        task = self._bars.add_task(name, total=total)
        wall, cpu = time.perf_counter(), time.process_time()
        yield lambda done: self._bars.update(task, completed=done)
        self._bars.update(task, completed=total)
        self.done.append(Stage(name, time.perf_counter() - wall, time.process_time() - cpu))


def run_demo(
    folder: str | Path,
    *,
    accounts: int = 4_000,
    seed: int = 7,
    console: Console,
    as_json: bool = False,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Run the demo and show its page of figures.

    Args:
        folder: a new or empty folder, or an earlier demo's, which is made anew. Afterwards a project folder
            that every other command can look into.
        accounts: how many the lender has; the default gives about a million transactions.
        seed: of everything that is left to chance.
        console: where bars and the page go.
        as_json: show neither.
        clock: tells now, for the registry.

    Returns:
        All figures of the page as plain JSON values.

    Raises:
        StoreError: the folder holds something else, or cannot be written.
        HeadwaterError: whatever else went wrong, in words.

    Example:
        >>> run_demo("my-bank", console=Console())["live"]["events"]  # doctest: +SKIP
        66514
    """
    place = prepare(folder, {"accounts": accounts, "seed": seed})
    with Stages(console, quiet=as_json) as stages:
        found = _play(place, stages, accounts, seed, clock or SystemClock())
    if not as_json:
        show(console, found)
    return found


def _play(place: Place, stages: Stages, accounts: int, seed: int, clock: Clock) -> dict[str, Any]:
    with stages.stage("Simulate a lender, three years"):
        lender = simulate(accounts=accounts, seed=seed)
    start = lender.stop - LIVE
    project = load_project(place.project)
    with (
        EmbeddedLog.open(place.data.log, project.streams) as log,
        DecisionStore.open(place.data.decisions) as store,
    ):
        with stages.stage("Import the past into the log"):
            past = _import(log, project, lender, start)
        trained, scoring = _learn(place, stages, project, log, start, clock, seed)
        with DefinitionStore.open(place.data.definitions) as kept:
            kept.keep(project, now=start)
        decider = Decider(project.policies[0], scoring)
        live = _rise(place, stages, project, log, scoring)
        events = live_events(lender, project.streams, start)
        with stages.stage("Go live, event by event", len(events)) as tell:
            run = go_live(live, events, decider, store, tell)
        with stages.stage("Judge: fresh, nightly, true risk"):
            judged = compare(run, log, scoring, decider.policy, lender.risk)
        with stages.stage("Replay a decision"):
            told = _one(run, judged, decider, log)
            chained = store.verify()
    return {
        "accounts": accounts,
        "seed": seed,
        "folder": str(place.path),
        "past": {"events": past, "from": iso(lender.start), "to": iso(start)},
        "model": of_training(trained),
        "live": {**of_live(run), "from": iso(start), "to": iso(lender.stop), "decisions": chained},
        "worth": of_worth(run, judged, decider.policy),
        "decision": None if told is None else of_decision(*told, judged, decider, lender),
        "stages": [asdict(stage) for stage in stages.done],
        "seconds": sum(stage.wall for stage in stages.done),
        "cpu_seconds": sum(stage.cpu for stage in stages.done),
    }


def _import(log: EmbeddedLog, project: Project, lender: Lender, start: int) -> int:
    """Everything that arrived before the live part; how many events."""
    incoming = []
    for stream in project.streams:
        arrival = lender.arrival[stream.name]
        past = np.flatnonzero(arrival < start)
        frame = lender.events[stream.name][past]
        incoming.append(Incoming(stream, frame, KEYS, "the simulated lender", arrival[past]))
    return sum(one.accepted for one in import_history(log, incoming))


def _learn(
    place: Place, stages: Stages, project: Project, log: EmbeddedLog, start: int, clock: Clock, seed: int
) -> tuple[TrainedModel, Scoring]:
    """Train on the past alone, register, and load what was registered, as a server would."""
    model = project.models[0]
    with stages.stage("Train on the past", 4) as tell:
        registry = open_registry(place.data.path, project)
        plan = Plan(test_from=start - gap(model.label) - TESTED, seed=seed, bootstrap=50)
        trained = train(
            project,
            model.name,
            log,
            registry,
            now=clock.now(),
            plan=plan,
            progress=lambda _stage, done, _total: tell(done),
        )
        version = registry.version(model.name)
        scoring = Scoring(model, registry.load(model.name), version.digest)
    return trained, scoring


def _rise(place: Place, stages: Stages, project: Project, log: EmbeddedLog, scoring: Scoring) -> Live:
    """State as of the end of the past, by replay, with a snapshot to rise from next time."""
    with stages.stage("Build the state by replay"):
        engine = Engine(project.views)
        live = Live(log, engine, [scoring], time.perf_counter_ns)
        live.catch_up()
        Snapshots(place.data.snapshots).save(engine)
    return live


def _one(run: LiveRun, judged: Comparison, decider: Decider, log: EmbeddedLog) -> tuple[int, Replayed] | None:
    """The decision that tells most, by its place in the run, replayed to the bit; None without any."""
    row = telling(run, judged, decider.policy)
    if row is None:
        return None
    record = next(record for record in run.records if run.row(record) == row)
    replayed = replay(record.decision, log, decider)
    replayed.raise_if_different()
    return row, replayed
