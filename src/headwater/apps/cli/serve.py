"""``headwater serve``: the live service of a project, over HTTP (``apps.http``)."""

from __future__ import annotations

import time

import click

from headwater.apps.cli.models import registry_of, version_text
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.http import example, logs
from headwater.apps.http.app import create_app
from headwater.apps.http.hooks import Watching
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.server import Address, Server, settle, snapshots
from headwater.apps.http.shelf import Shelf, scorings
from headwater.apps.settings import Settings
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
    serve(work, screen, Address(host, port, certificate, key), snapshot_every, log_level)


def serve(
    work: Workplace,
    screen: Screen,
    address: Address,
    snapshot_every: float = 300.0,
    log_level: str = "warning",
) -> None:
    """Serve a project until it is told to end; also what ``headwater demo --serve`` ends with."""
    logs.set_up(log_level)
    shelf = Shelf(registry_of(work), work.project)
    metrics = Metrics()
    hooks = Watching(metrics)
    started = time.perf_counter()
    service = Service.open(
        work.project,
        DataFolder(work.settings.data),
        scorings(shelf.champions()),
        clock=work.clock.now,
        stopwatch=time.perf_counter_ns,
        hooks=hooks,
        max_log_bytes=work.settings.log_bytes,
    )
    with service:
        rise = time.perf_counter() - started
        app = create_app(
            service,
            time.perf_counter_ns,
            metrics=metrics,
            reload=lambda: _reload(work, service),
            lifespan=snapshots(service, snapshot_every, metrics, hooks),
        )
        settle()
        Server(app, address, lambda url: _banner(screen, service, url, rise, shelf)).run()


def _reload(work: Workplace, service: Service) -> None:
    """Serve what the project file and the registry say now."""
    fresh = Workplace(work.settings, work.clock)
    service.swap(scorings(Shelf(registry_of(fresh), fresh.project).champions()), fresh.project)


def _banner(screen: Screen, service: Service, url: str, rise: float, shelf: Shelf) -> None:
    """Where to look, and a line to try."""
    body = example.decision(service)
    line = None if body is None else example.curl(url, body)
    project = service.serving.project
    if screen.as_json:
        screen.write({"url": url, "project": project.name, "offset": service.offset, "curl": line})
        return
    screen.say(f"Headwater serves {project.name} at {url}", "bold")
    screen.say(f"  documentation  {url}/docs")
    screen.say(f"  metrics        {url}/metrics")
    screen.say(f"  events         {service.offset + 1:,} in the log, ready after {rise:.1f} s")
    for model in project.models:
        scoring = service.serving.scorings.get(model.name)
        told = "not trained yet: `headwater train`"
        if scoring is not None:
            version = shelf.sealed(model, scoring.digest).version
            told = version_text({"number": version.number, "aliases": version.aliases})
        screen.say(f"  model          {model.name}, {told}")
    for name in service.passed_over:
        screen.note(f"a snapshot was passed over: {name}")
    if line is not None:
        screen.say("  try it")
        screen.say(f"    {line}")
    screen.say("  Ctrl-C ends it, and finishes what was taken")
