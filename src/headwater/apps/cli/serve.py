"""``headwater serve``: the live service of a project, over HTTP (``apps.http``)."""

from __future__ import annotations

import time
from collections.abc import Mapping

import click

from headwater.apps.cli.models import registry_of, version_text
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.http import example, logs
from headwater.apps.http.app import create_app
from headwater.apps.http.hooks import LoggingHooks
from headwater.apps.http.server import Address, Server, settle, snapshots
from headwater.apps.http.shelf import Shelf
from headwater.apps.settings import Settings
from headwater.models.registry import Version
from headwater.serving.service import Service
from headwater.store.folder import DataFolder

_PORTS = 65_535


@click.command("serve")
@click.argument("file", required=False, metavar="[PROJECT]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, _PORTS), default=8000, show_default=True, help="0: a free one."
)
@click.option("--certificate", type=click.Path(dir_okay=False), help="PEM file for TLS.")
@click.option("--key", type=click.Path(dir_okay=False), help="PEM file with the certificate's key.")
@click.option(
    "--snapshot-every",
    type=click.FloatRange(1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Keep the state so often.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Of the JSON log on stderr; `info` has a line for each request.",
)
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    file: str | None,
    host: str,
    port: int,
    certificate: str | None,
    key: str | None,
    snapshot_every: float,
    log_level: str,
) -> None:
    """Serve the project: events in, decisions out, over HTTP.

    Rises from the newest snapshot and the rest of the log; then takes events, keeps every score fresh,
    decides with reasons, and records each decision. Ctrl-C finishes what was taken.
    """
    if file is not None:
        data = click.get_current_context().params["data"]
        work = Workplace(Settings.read(project=file, data=data), work.clock)
    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key go together")
    logs.set_up(log_level)
    shelf = Shelf(registry_of(work), work.project)
    served = shelf.champions()
    started = time.perf_counter()
    service = Service.open(
        work.project,
        DataFolder(work.settings.data),
        {name: one.scoring for name, one in served.items()},
        clock=work.clock.now,
        stopwatch=time.perf_counter_ns,
        hooks=LoggingHooks(),
        max_log_bytes=work.settings.log_bytes,
    )
    with service:
        rise = time.perf_counter() - started
        beside = snapshots(service, snapshot_every, LoggingHooks())
        app = create_app(service, time.perf_counter_ns, lifespan=beside)
        settle()
        versions = {name: one.version for name, one in served.items()}
        address = Address(host, port, certificate, key)
        Server(app, address, lambda url: _banner(screen, service, url, rise, versions), lambda: None).run()


def _banner(screen: Screen, service: Service, url: str, rise: float, versions: Mapping[str, Version]) -> None:
    """Where to look, and a line to try."""
    body = example.decision(service)
    line = None if body is None else example.curl(url, body)
    project = service.serving.project
    if screen.as_json:
        screen.write({"url": url, "project": project.name, "offset": service.offset, "curl": line})
        return
    screen.say(f"Headwater serves {project.name} at {url}", "bold")
    screen.say(f"  documentation  {url}/docs")
    screen.say(f"  events         {service.offset + 1:,} in the log, ready after {rise:.1f} s")
    for model in project.models:
        version = versions.get(model.name)
        told = "not trained yet: `headwater train`" if version is None else _version(version)
        screen.say(f"  model          {model.name}, {told}")
    for name in service.passed_over:
        screen.note(f"a snapshot was passed over: {name}")
    if line is not None:
        screen.say("  try it")
        screen.say(f"    {line}")
    screen.say("  Ctrl-C ends it, and finishes what was taken")


def _version(version: Version) -> str:
    return version_text({"number": version.number, "aliases": version.aliases})
