"""What an event, a key and a decision cost: ``python -m benchmarks.costs`` writes ``benchmarks/costs.json``.

The bank of the live measures (40 windowed features, 200 trees, four reasons) is served over HTTP. Processor
time, disk and memory of the server are counted over a load, so that the figures hardly depend on what else
the machine does. Events come 100 at a time, on disk and their entities scored before the answer. Read by
``benchmarks.sizing``, which makes the plan of them.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

import headwater as hw
from benchmarks.contenders.live import bank
from benchmarks.contenders.live.drive import aim
from benchmarks.contenders.live.headwater import plan, serving
from benchmarks.machine import machine
from benchmarks.work import Work
from headwater.apps.lakes import LakeSettings, lake_of
from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace
from headwater.apps.load.requests import Decisions, Desk, Events, Posting
from headwater.apps.settings import Settings
from headwater.core.batch import Batch
from headwater.definitions.loading import load_project
from headwater.engine.image import images
from headwater.engine.run import Engine
from headwater.scale.lake.private import Private
from headwater.store.decision import Decision, Reason
from headwater.store.decisions import DecisionStore

OUT = Path(__file__).with_name("costs.json")
EVENTS, KEYS = 100_000, 5_000
SECONDS = 8.0
BATCH = 100
RECORDS = 1_000
RETAINED = (2, 12)  # events of each key, of which what a key and an event take in memory is solved


def main(out: str = str(OUT)) -> None:
    """Measure, and write what was found."""
    with TemporaryDirectory(prefix="headwater-costs-") as folder:
        work = Work("", folder, {"events": EVENTS, "keys": KEYS})
        bank.prepare(work)()
        found = _served(work) | _kept(work) | _record(Path(folder)) | _state()
    facts = {"machine": machine(), "events": EVENTS, "keys": KEYS, "batch": BATCH, "costs": found}
    Path(out).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


def _served(work: Work) -> dict[str, float]:
    """Processor seconds and bytes of disk, of the server's own process, for each event and decision."""
    with serving(work) as server:
        address, target = Address.of(server.url), plan(server.url)
        desk, pid = Desk(address), server.process.pid
        data = work.data / "served" / ".headwater"
        decisions = Decisions(desk, target.policy(None), KEYS, 0)
        made, cpu, _ = _loaded(pid, data / "decisions.db", lambda: aim(server.url, decisions, _pace(8)))
        stream = target.stream("payments")
        posting = Posting(BATCH, refresh=True)
        events = Events(desk, stream, posting, KEYS, lambda: time.time_ns() // 1_000, 0)
        sent, spent, more = _loaded(pid, data / "events.log", lambda: aim(server.url, events, _pace(2)))
        return {
            "decision_cpu_us": 1e6 * cpu / made,
            "event_cpu_us": 1e6 * spent / (sent * BATCH),
            "event_log_bytes": more / (sent * BATCH),
        }


def _pace(connections: int) -> Pace:
    return Pace(None, SECONDS, connections, 0.0)


def _loaded(pid: int, file: Path, load: Callable[[], dict[str, Any]]) -> tuple[float, float, float]:
    """Requests that were answered, processor seconds and bytes of a file that they took."""
    before, size = _cpu(pid), _size(file)
    told = load()
    return float(told["good"]), _cpu(pid) - before, float(_size(file) - size)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _size(file: Path) -> int:
    """Of a database with what is not folded into it yet."""
    return sum(
        path.stat().st_size for path in file.parent.glob(f"{file.name}*") if not path.name.endswith("-shm")
    )


def _kept(work: Work) -> dict[str, float]:
    """Bytes of the log for an event of history, and of the lake."""
    place = work.data / "bank"
    project, data = load_project(place / "project.py"), place / ".headwater"
    settings = LakeSettings(str(work.data / "lake"), "parquet", Private(), "day")
    with lake_of(project, Settings.read({}, data=str(data)), settings) as lake:
        start = time.process_time()
        lake.export(lambda _table, _place, _end: None)
        spent = time.process_time() - start
        size = lake.status()[0]["bytes"]
    return {
        "history_log_bytes": _size(data / "events.log") / EVENTS,
        "lake_event_bytes": size / EVENTS,
        "lake_event_cpu_us": 1e6 * spent / EVENTS,
    }


def _record(folder: Path) -> dict[str, float]:
    """Bytes of a decision's record with its indexes: of a store that holds nothing else."""
    random = np.random.default_rng(0)
    decided: list[Decision] = []
    with DecisionStore.open(folder / "records.db") as store:
        for number in range(RECORDS):
            features = {f"feature_of_window_{i}": float(random.normal()) for i in range(40)}
            reasons = tuple(
                Reason(f"What {name} says", name, value, value, value)
                for name, value in list(features.items())[:4]
            )
            facts = ("risk", "d" * 64, "h" * 64, "lend", "p" * 64, {"who": number % KEYS})
            score = float(random.random())
            made = Decision(*facts, number, number, number, features, score, "watch", reasons)
            decided.append(made)
        store.append(decided)
    return {"decision_record_bytes": _size(folder / "records.db") / RECORDS}


def _state() -> dict[str, float]:
    """Bytes of 40 features for a key, for an event, in state and online, solved of two sizes."""
    project = load_project(bank.PROJECT)
    few, many = (_bytes(project, count) for count in RETAINED)
    events = [(more - less) / (RETAINED[1] - RETAINED[0]) for less, more in zip(few, many, strict=True)]
    keys = [less - RETAINED[0] * event for less, event in zip(few, events, strict=True)]
    return {
        "state_event_bytes": events[0],
        "state_key_bytes": keys[0],
        "online_event_bytes": events[1],
        "online_key_bytes": keys[1],
    }


def _bytes(project: hw.Project, each: int) -> tuple[float, float]:
    """Bytes for a key with so many events: in memory, and as it is published."""
    (view,) = project.views
    keys, count = 20_000, 20_000 * each
    offset = np.arange(count)
    frame = pl.DataFrame(
        {
            "id": offset,
            "who": np.tile(np.arange(keys), each),
            "time": pl.Series(1_767_225_600_000_000 + offset * 1_000_000).cast(bank.CLOCK),
            "amount": np.random.default_rng(0).normal(size=count),
            "balance": np.random.default_rng(1).normal(size=count),
            "way": pl.Series(["card"] * count).cast(pl.Enum(["card", "cash", "transfer"])),
        }
    )
    engine = Engine([view], shards=1)
    time_of = frame["time"].to_physical().to_numpy()
    engine.apply(Batch("payments", offset, time_of, time_of, frame))
    gc.collect()
    state = engine.states[view.name]
    published = images(state, pl.Series(range(0, keys, 100)))
    return state.bytes_used() / keys, float(np.mean([len(one or b"") for one in published]))


if __name__ == "__main__":
    main(*sys.argv[1:])
