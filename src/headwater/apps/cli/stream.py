"""``headwater stream``: fresh scores from Kafka, by a host of our own (``scale.kafka``) or on Spark.

The host is here, Spark's query is run in ``stream_on_spark``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from threading import Event
from typing import Any

import click

from headwater.apps.cli.brokers import cluster_of, library
from headwater.apps.cli.ending import asked_to_end
from headwater.apps.cli.metering import OPTION, Meter, metering, unmeasured
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.stream_on_spark import MISSING, Told, run_on_spark
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.http.parts import Part
from headwater.apps.http.shelf import Shelf, scorings
from headwater.apps.http.streaming import WAITING
from headwater.apps.online import Online
from headwater.apps.settings import Settings, environment


@click.command("stream")
@click.argument("file", required=False, metavar="[PROJECT]")
@click.option(
    "--kafka", "brokers", required=True, metavar="BROKERS", help="host:port, commas between several."
)
@click.option("--group", metavar="NAME", help="The consumer group.  [default: headwater-PROJECT]")
@click.option("--name", metavar="NAME", help="Of this host, unique in its group.  [default: the machine's]")
@click.option(
    "--snapshot-every",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Keep the state so often.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="That work on partitions beside each other.  [default: one a processor]",
)
@click.option(
    "--online",
    metavar="URL",
    help="The online store, redis://host:port/db, to which the states of the partitions are published.",
)
@OPTION
@click.option(
    "--until-idle", type=click.FloatRange(0), metavar="SECONDS", help="End when nothing came for so long."
)
@click.option(
    "--on",
    "engine",
    type=click.Choice(("host", "spark")),
    default="host",
    show_default=True,
    help="Who does it: a host of a consumer group, or a query on Spark.",
)
@click.option("--master", metavar="URL", help="Where Spark runs, such as local[4].  [default: as it is set]")
@click.option("--checkpoint", metavar="FOLDER", help="Spark's.  [default: spark/ in the data folder]")
@click.option(
    "--every",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Spark begins a batch so often; 0 for one after the other.",
)
@click.option(
    "--most",
    type=click.IntRange(1),
    default=500_000,
    show_default=True,
    help="Records of a batch of Spark's.",
)
@click.option(
    "--parallel",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Parts that Spark works on a batch in; fixed once there is a checkpoint.",
)
@click.option("--jars", metavar="FOLDER", help="Spark's Kafka connector.  [default: fetched by Spark]")
@at_workplace
def command(
    work: Workplace, screen: Screen, file: str | None, brokers: str, group: str | None, **options: Any
) -> None:
    """Keep scores fresh from Kafka: events in, scores out, exactly once.

    One of a group of hosts that share the partitions of the project's topics; the state of a partition moves
    with it. Ctrl-C keeps the state and leaves the group. On Spark it is a streaming query, whose state is in
    its checkpoint.
    """
    if file is not None:
        data = click.get_current_context().params["data"]
        work = Workplace(Settings.read(project=file, data=data), work.clock)
    kafka = library()
    engines: dict[str, tuple[Callable[..., None], str]] = {
        "host": (_host, WAITING),
        "spark": (run_on_spark, MISSING),
    }
    run, missing = engines[options.pop("engine")]
    told = Told(screen)
    with asked_to_end() as end, metering(options.pop("metrics"), work.clock, screen, missing) as meter:
        cluster = cluster_of(kafka, brokers, environment())
        served = scorings(Shelf(registry_of(work), work.project).champions())
        run(work, told, cluster, served, group or f"headwater-{work.project.name}", end, meter, **options)
    if screen.as_json:
        screen.write(told.counts)
    else:
        screen.say(", ".join(f"{number:,} {each}" for each, number in told.counts.items()))


def _host(
    work: Workplace,
    told: Told,
    cluster: Any,
    served: Mapping[str, Any],
    group: str,
    end: Event,
    meter: Meter | None,
    *,
    name: str | None,
    threads: int | None,
    snapshot_every: float,
    until_idle: float | None,
    online: str | None,
    **_of_spark: Any,
) -> None:
    kafka = library()
    member = kafka.Member(group, name or socket.gethostname(), threads=threads or 0)
    hooks, beat = kafka.Hooks(on_turn=told.count, on_fault=told.fault), unmeasured
    if meter is not None:
        hooks, beat = meter.around(hooks), meter.pulse.beat
    folder = work.settings.data / "kafka"
    owners = None
    if online is not None:  # by the option alone: a server with a log of its own may share our environment
        store = Online.read(environment(), part=Part.ALL, url=online)
        owners = store.owners(work.project, work.clock.now, hooks.on_fault)
        hooks = replace(hooks, on_own=owners.own, on_gone=owners.gone)
    at = cluster, work.project, served, folder, member, hooks, time.perf_counter_ns
    with kafka.Host(*at) as host, owners or nullcontext():
        if owners is not None:
            owners.start(host.count)
            if meter is not None:
                meter.publishes(owners, lambda: host.place)
        told.screen.note(f"{member.name} of {group} keeps {', '.join(served) or 'features'} fresh")
        kept, heard, had = time.monotonic(), 0.0, 0
        while not end.is_set():
            records, now = host.turn(), time.monotonic()
            beat()
            if records or len(host.partitions) != had:  # until partitions came there was nothing to hear
                heard, had = now, len(host.partitions)
            if now - kept >= snapshot_every:
                host.keep()
                kept = now
            if owners is not None:
                owners.check()
            if until_idle is not None and host.partitions and now - heard > until_idle:
                break
    told.counts |= _published(owners)


def _published(owners: Any) -> dict[str, int]:
    """What was published, for the screen."""
    if owners is None:
        return {}
    done = owners.published
    return {"publications": done.writes, "states": done.keys, "fillings": done.fillings}
