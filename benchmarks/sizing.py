"""The plan for a thousand times this machine, derived from measured costs: ``python -m benchmarks.sizing``.

Costs are those of ``benchmarks/costs.json`` (``benchmarks.costs`` measures them); the load and everything
that was not measured are :class:`Load` and :class:`Assumed`, each named with its reason. ``--times 50`` plans
for another size; ``--page docs/explanation/sizing.md`` writes the tables into the page, and a test holds the
page against them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

COSTS = Path(__file__).with_name("costs.json")
BEGIN, END = "<!-- plan: begin -->", "<!-- plan: end -->"
_DAY, _MONTH = 86_400, 30 * 86_400
_GIB, _TIB = 2**30, 2**40
_NODE_HOURS = 730


@dataclass(frozen=True)
class Load:
    """What one machine like this is asked for. Its memory is what is full: a window holds its events."""

    keys: float = 200_000
    events_day: float = 10  # of a key, on average
    decisions_day: float = 1  # about a key, on average
    days: float = 90  # the longest window: so long is an event kept in state
    peak: float = 10  # the busiest minute over the average one

    @property
    def events(self) -> float:
        """A second, on average."""
        return self.keys * self.events_day / _DAY

    @property
    def decisions(self) -> float:
        """A second, on average."""
        return self.keys * self.decisions_day / _DAY


@dataclass(frozen=True)
class Assumed:
    """What was not measured here."""

    busy: float = 0.6  # of a core, in the busiest minute: the rest is for restarts and stragglers
    spare: float = 1 / 3  # of nodes: one of three zones may be away
    cores: float = 16  # of a node
    memory: float = 64 * _GIB  # of a node
    memory_busy: float = 0.7  # of it, for state
    partition: float = 4_000  # events a second of one partition, so that one core of one host carries it
    kafka_bytes: float = 250  # of an event as JSON in a topic, compressed
    kafka_days: float = 7
    replication: float = 3  # of topics
    broker_bytes: float = 50e6  # a second into one broker, replicas included
    broker_disk: float = 4 * _TIB
    online_more: float = 1.1  # what Redis adds to the bytes of a state
    redis_memory: float = 26 * _GIB  # of a Redis node, for values
    redis_ops: float = 80_000  # a second of a Redis node
    postgres_rows: float = 10_000  # decision records a second that one PostgreSQL keeps
    lake_years: float = 5  # events and records are kept in the lake so long
    record_lake: float = 0.2  # of a record's bytes, as Parquet
    core_hour: float = 0.04  # dollars, on demand, list prices of the large clouds, rounded
    memory_hour: float = 0.005  # of a GiB
    disk_month: float = 0.08  # of a GiB of SSD
    object_month: float = 0.023  # of a GiB


@dataclass(frozen=True)
class Part:
    """A row of the plan: what it is, how many, why so many, and dollars a month."""

    what: str
    count: str
    why: str
    dollars: float


def plan(costs: Mapping[str, float], times: float, load: Load, assumed: Assumed) -> list[Part]:
    """The parts that carry so many times the load: processors for its peak, disks for its average.

    Args:
        costs: as ``costs.json`` has them.
        times: of the load.
        load: of one machine.
        assumed: what was not measured.
    """
    large = replace(load, keys=load.keys * times)
    return [
        *_ingest(costs, large, assumed),
        *_decide(costs, large, assumed),
        *_kafka(large, assumed),
        *_online(costs, large, assumed),
        *_records(costs, large, assumed),
    ]


def _ingest(costs: Mapping[str, float], load: Load, assumed: Assumed) -> Iterator[Part]:
    peak = load.events * load.peak
    partitions = math.ceil(peak / assumed.partition)
    cores = peak * costs["event_cpu_us"] / 1e6 / assumed.busy
    retained = load.keys * load.events_day * load.days
    state = load.keys * costs["state_key_bytes"] + retained * costs["state_event_bytes"]
    by_cores = math.ceil(cores / assumed.cores)
    by_memory = math.ceil(state / (assumed.memory * assumed.memory_busy))
    nodes = math.ceil(max(by_cores, by_memory) * (1 + assumed.spare))
    partitions = max(partitions, 2 * nodes)  # so that they can be dealt out evenly
    yield Part("partitions of each stream", f"{partitions:,}", "events/s of one, and two for each host", 0.0)
    most = "cores" if by_cores >= by_memory else "memory"
    why = f"{cores:,.0f} cores, {state / _TIB:,.1f} TiB of state: {most} decides"
    yield Part("ingest hosts", f"{nodes:,} nodes", why, nodes * _node(assumed))


def _decide(costs: Mapping[str, float], load: Load, assumed: Assumed) -> Iterator[Part]:
    cores = load.decisions * load.peak * costs["decision_cpu_us"] / 1e6 / assumed.busy
    nodes = math.ceil(math.ceil(cores / assumed.cores) * (1 + assumed.spare))
    yield Part("decide servers", f"{nodes:,} nodes", f"{cores:,.0f} cores", nodes * _node(assumed))


def _kafka(load: Load, assumed: Assumed) -> Iterator[Part]:
    each = assumed.kafka_bytes * assumed.replication
    stream, disk = load.events * load.peak * each, load.events * each * assumed.kafka_days * _DAY
    brokers = max(3, math.ceil(max(stream / assumed.broker_bytes, disk / assumed.broker_disk)))
    why = f"{stream / 1e6:,.0f} MB/s in at the peak, {disk / _TIB:,.0f} TiB on disk"
    dollars = brokers * _node(assumed) + disk / _GIB * assumed.disk_month
    yield Part("Kafka brokers", f"{brokers:,} nodes", why, dollars)


def _online(costs: Mapping[str, float], load: Load, assumed: Assumed) -> Iterator[Part]:
    retained = load.keys * load.events_day * load.days
    states = load.keys * costs["online_key_bytes"] + retained * costs["online_event_bytes"]
    held, reads = states * assumed.online_more, load.decisions * load.peak
    nodes = 2 * math.ceil(max(held / assumed.redis_memory, reads / assumed.redis_ops))
    why = f"{held / _TIB:,.1f} TiB of states, {reads:,.0f} reads/s, each shard twice"
    small = 4 * assumed.core_hour + 32 * assumed.memory_hour
    yield Part("Redis", f"{nodes:,} nodes", why, nodes * small * _NODE_HOURS)


def _records(costs: Mapping[str, float], load: Load, assumed: Assumed) -> Iterator[Part]:
    pairs = math.ceil(load.decisions * load.peak / assumed.postgres_rows)
    month = load.decisions * costs["decision_record_bytes"] * _MONTH
    dollars = 2 * (pairs * _node(assumed) + month / _GIB * assumed.disk_month)
    why = f"{load.decisions * load.peak:,.0f} records/s at the peak, a month of them: {month / _TIB:,.0f} TiB"
    yield Part("PostgreSQL, by key", f"{pairs:,} pairs", why, dollars)
    rows = load.decisions * costs["decision_record_bytes"] * assumed.record_lake
    kept = (rows + load.events * costs["lake_event_bytes"]) * assumed.lake_years * 12 * _MONTH
    cores = load.events * load.peak * costs["lake_event_cpu_us"] / 1e6 / assumed.busy
    nodes = math.ceil(cores / assumed.cores)
    dollars = kept / _GIB * assumed.object_month + nodes * _node(assumed)
    yield Part(
        "the lake", f"{nodes:,} nodes", f"{kept / _TIB:,.0f} TiB in {assumed.lake_years:g} years", dollars
    )


def _node(assumed: Assumed) -> float:
    """Dollars a month."""
    hour = assumed.cores * assumed.core_hour + assumed.memory / _GIB * assumed.memory_hour
    return hour * _NODE_HOURS


def document(found: Mapping[str, Any], times: float, load: Load, assumed: Assumed) -> str:
    """Costs, load, plan and assumptions as Markdown."""
    large = replace(load, keys=load.keys * times)
    parts = plan(found["costs"], times, load, assumed)
    total = sum(part.dollars for part in parts)
    decided, happened = (total / (each * _MONTH / 1e6) for each in (large.decisions, large.events))
    stated = [(one.name, getattr(part, one.name)) for part in (load, assumed) for one in fields(part)]
    asked = (
        f"{large.keys:,.0f} keys, {large.events:,.0f} events/s and {large.decisions:,.0f} decisions/s; "
        f"in the busiest minute {large.events * large.peak:,.0f} and {large.decisions * large.peak:,.0f}."
    )
    lines = [
        f"### Measured, on {found['machine']['cores']} cores of {found['machine']['processor']}",
        "",
        "| | of each | |",
        "|---|--:|---|",
        *(f"| {words} | {value} | {how} |" for words, value, how in _measured(found)),
        "",
        f"### {times:,.0f} times the load",
        "",
        asked,
        "",
        "| part | how many | because of | $ a month |",
        "|---|--:|---|--:|",
        *(f"| {one.what} | {one.count} | {one.why} | {one.dollars:,.0f} |" for one in parts),
        f"| **all** | | | **{total:,.0f}** |",
        "",
        f"With everything, {decided:,.1f} $ for a million decisions, {happened:,.2f} $ for a million events.",
        "",
        "### Assumed",
        "",
        "| | value |",
        "|---|--:|",
        *(f"| `{name}` | {_shown(value)} |" for name, value in stated),
    ]
    return "\n".join(lines)


def _measured(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    cost = found["costs"]
    sent = f"over HTTP, {found['batch']} at a time: checked, on disk, in 40 features, its key scored"
    yield "event", f"{cost['event_cpu_us']:,.0f} us of a processor", sent
    yield (
        "",
        f"{cost['event_log_bytes']:,.0f} B of log",
        f"as it came; in bulk {cost['history_log_bytes']:,.0f} B",
    )
    yield (
        "",
        f"{cost['lake_event_bytes']:,.0f} B of lake",
        f"and {cost['lake_event_cpu_us']:,.1f} us to export it",
    )
    yield "", f"{cost['state_event_bytes']:,.0f} B of memory", "while a window holds it"
    yield "key", f"{cost['state_key_bytes']:,.0f} B of memory", "beside its events: 40 features"
    each = f"as it is published; and {cost['online_event_bytes']:,.0f} B for an event in its windows"
    yield "", f"{cost['online_key_bytes']:,.0f} B of Redis", each
    whole = "over HTTP: 40 features, 200 trees, four reasons, its record on disk"
    yield "decision", f"{cost['decision_cpu_us']:,.0f} us of a processor", whole
    yield "", f"{cost['decision_record_bytes']:,.0f} B on disk", "its record, with indexes"


def _shown(value: float) -> str:
    if value >= _GIB and value % _GIB == 0:
        return f"{value / _GIB:,.0f} GiB"
    return f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}"


def filled(page: str, text: str) -> str:
    """A page with the plan between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan, or write it into a page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sizing", description="Plan from measured costs."
    )
    parser.add_argument("--times", type=float, default=1_000.0, help="so many times this machine's load")
    parser.add_argument("--page", type=Path, help="a page of the documentation to be given the plan")
    arguments = parser.parse_args(argv)
    found = json.loads(COSTS.read_text(encoding="utf-8"))
    text = document(found, arguments.times, Load(), Assumed())
    if arguments.page is None:
        sys.stdout.write(text + "\n")
    else:
        page = arguments.page.read_text(encoding="utf-8")
        arguments.page.write_text(filled(page, text), encoding="utf-8")


if __name__ == "__main__":
    main()
