"""``headwater stream``: the live host on Kafka (``scale.kafka``), one of a consumer group."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, util
from threading import Event
from types import FrameType
from typing import Any

import click

from headwater.apps.access.settings import read_secret
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.http.shelf import Shelf, scorings
from headwater.apps.settings import Settings, environment
from headwater.core.errors import MissingExtraError

# Environment variable to librdkafka's property; the password may also come from a file.
SECURITY = {
    "HEADWATER_KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "HEADWATER_KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "HEADWATER_KAFKA_SASL_USERNAME": "sasl.username",
    "HEADWATER_KAFKA_SSL_CA": "ssl.ca.location",
    "HEADWATER_KAFKA_SSL_CERTIFICATE": "ssl.certificate.location",
    "HEADWATER_KAFKA_SSL_KEY": "ssl.key.location",
}
PASSWORD = "HEADWATER_KAFKA_SASL_PASSWORD"  # noqa: S105 - the variable's name


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
    "--until-idle", type=click.FloatRange(0), metavar="SECONDS", help="End when nothing came for so long."
)
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    file: str | None,
    brokers: str,
    group: str | None,
    name: str | None,
    snapshot_every: float,
    until_idle: float | None,
) -> None:
    """Keep scores fresh from Kafka: events in, scores out, exactly once.

    One of a group of hosts that share the partitions of the project's topics; the state of a partition moves
    with it. Ctrl-C keeps the state and leaves the group.
    """
    if file is not None:
        data = click.get_current_context().params["data"]
        work = Workplace(Settings.read(project=file, data=data), work.clock)
    kafka = _library()
    project = work.project
    member = kafka.Member(group or f"headwater-{project.name}", name or socket.gethostname())
    served = scorings(Shelf(registry_of(work), project).champions())
    cluster = kafka.Cluster(brokers, security(environment()))
    counts = {"records": 0, "events": 0, "duplicates": 0, "refused": 0, "scores": 0}

    def count(turn: Any) -> None:
        for each in counts:
            counts[each] += getattr(turn, each)

    def fault(where: str, error: BaseException) -> None:
        screen.note(f"{where}: {str(error).partition(chr(10))[0]}")

    hooks = kafka.Hooks(on_turn=count, on_fault=fault)
    folder = work.settings.data / "kafka"
    with (
        _asked_to_end() as end,
        kafka.Host(cluster, project, served, folder, member, hooks) as host,
    ):
        screen.note(f"{member.name} of {member.group} keeps {', '.join(served) or 'features'} fresh")
        kept = heard = time.monotonic()
        while not end.is_set():
            now = time.monotonic()
            if host.turn():
                heard = now
            if now - kept >= snapshot_every:
                host.keep()
                kept = now
            if until_idle is not None and host.partitions and now - heard > until_idle:
                break
    if screen.as_json:
        screen.write(counts)
    else:
        screen.say(", ".join(f"{number:,} {each}" for each, number in counts.items()))


def security(environ: Mapping[str, str]) -> dict[str, str]:
    """SASL and TLS from the environment, as librdkafka names them.

    Raises:
        DataError: the password's file cannot be read.
    """
    found = {name: environ[variable] for variable, name in SECURITY.items() if environ.get(variable)}
    password = read_secret(PASSWORD, environ)
    if password is not None:
        found["sasl.password"] = password.reveal()
    return found


def _library() -> Any:
    if util.find_spec("confluent_kafka") is None:
        raise MissingExtraError.of(
            "confluent-kafka is not installed",
            expected="the package confluent-kafka",
            do="pip install 'headwater[kafka]'",
        )
    return import_module("headwater.scale.kafka.door")


@contextmanager
def _asked_to_end() -> Iterator[Event]:
    """Set when Ctrl-C or a TERM comes, so that a turn is finished first."""
    end = Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        end.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
