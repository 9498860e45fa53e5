"""The demo's log, a million bookings of three years, through the Kafka host and embedded: each bit compared.

Every view of the demo's project, every account, at three moments behind the end. Needs the broker of ``make
services``. Only when it is named; a small one is among the tests. Called by ``__main__``.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl

import headwater as hw
from benchmarks.harness import Setting
from benchmarks.kafka import brokers_named
from benchmarks.report import Measured, Promise
from headwater.apps.demo.lender.simulation import simulate
from headwater.apps.demo.project import early_warning
from headwater.core.instant import DAY
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.log.protocol import Append
from headwater.scale.kafka.cluster import Cluster, Topics, make_topics
from headwater.scale.kafka.host import Host, Member
from headwater.scale.kafka.publish import publish
from headwater.serving.rising import catch_up

SIZES = ("kafka_demo.accounts", "kafka_demo.years")
ACCOUNTS, YEARS, PARTITIONS = 4_000, 3, 4
MOMENTS = (0, DAY // 2, 30 * DAY)  # behind the end of the log
KEY = "account_id"


def measure(setting: Setting) -> Measured:
    """Run both and compare.

    Raises:
        RuntimeError: there is no broker.
    """
    accounts = int(setting.size("kafka_demo.accounts", ACCOUNTS, 40))
    found = compared(brokers_named(), accounts, int(setting.size("kafka_demo.years", YEARS, 1)))
    return Measured(
        name="kafka_demo",
        title="The demo's log on Kafka and embedded",
        method=__doc__ or "",
        headers=["", ""],
        rows=[[name, f"{value:,}"] for name, value in found.items()],
        promises=[Promise("differing bits", "none", f"{found['differing']:,}", found["differing"] == 0)],
        notes=[],
        facts=found | {"disagreement": ["values differ"] if found["differing"] else []},
    )


def compared(brokers: str, accounts: int, years: int) -> dict[str, int]:
    """The demo's events through both; how many events, values compared, and values that differ in a bit."""
    lender = simulate(accounts, years)
    project = hw.Project(f"demo{uuid4().hex[:8]}", models=[early_warning])
    streams = {view.stream.name: view.stream for view in project.views}
    came = {name: np.argsort(lender.arrival[name], kind="stable") for name in streams}
    frames = {name: lender.events[name].select(list(streams[name].schema))[came[name]] for name in streams}
    cluster, topics = Cluster(brokers), Topics(project)
    make_topics(cluster, topics, partitions=PARTITIONS)
    for name, frame in frames.items():
        publish(cluster, topics, streams[name], frame)
    with tempfile.TemporaryDirectory() as folder:
        twin = Engine(project.views)
        with EmbeddedLog.open(Path(folder) / "events.log", project.streams) as log:
            appends = [Append(name, one, np.sort(lender.arrival[name])) for name, one in frames.items()]
            log.append_many(appends, merge=True)
            catch_up(twin, log)
        member = Member(project.name, "demo")
        with Host(cluster, project, {}, Path(folder) / "snapshots", member) as host:
            wanted = sum(map(len, frames.values()))
            until = time.monotonic() + 60 + wanted / 1_000
            while sum(sum(one.positions.values()) for one in host.partitions.values()) < wanted:
                host.turn()
                if time.monotonic() > until:
                    raise RuntimeError("the host does not come to an end")
            return {"events": wanted} | _compare(twin, host, sorted(set(_accounts(frames))), lender.stop)


def _accounts(frames: dict[str, pl.DataFrame]) -> list[Any]:
    return [account for frame in frames.values() for account in frame[KEY].unique().to_list()]


def _compare(twin: Engine, host: Host, accounts: list[Any], end: int) -> dict[str, int]:
    counts = {"values": 0, "differing": 0, "unowned": 0}
    owned: set[Any] = set()
    for partition in host.partitions.values():
        newest = partition.vectors.newest_of(KEY, accounts)
        mine = [who for who, at in zip(accounts, newest.tolist(), strict=True) if at > -(2**62)]
        owned |= set(mine)
        for name in twin.states:
            for moment in MOMENTS:
                ours, theirs = (one.read(name, mine, end + moment) for one in (partition.engine, twin))
                for column in ours.columns:
                    counts["values"] += len(mine)
                    apart = _bits(ours[column]) != _bits(theirs[column])
                    counts["differing"] += int(np.count_nonzero(apart))
    counts["unowned"] = len(accounts) - len(owned)
    counts["differing"] += counts["unowned"]
    return counts


def _bits(column: pl.Series) -> np.ndarray:
    """A column as words that compare by their bits; null is one of its own."""
    if column.dtype.is_float():
        words = column.fill_null(0.0).to_numpy().view(f"u{column.to_numpy().dtype.itemsize}")
    else:
        words = column.to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    return np.where(column.is_null().to_numpy(), np.int64(-(2**63)), words.astype(np.int64))
