"""The live service of a project, over HTTP (``apps.http``): opened, served, closed.

Imported by ``serve`` once that has begun to read the newest snapshot; called by it and by ``demo``.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, nullcontext
from importlib import import_module
from typing import Any

from headwater.apps import anchors
from headwater.apps.access.door import LOOK, Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.access.tls import context
from headwater.apps.archive import Archive
from headwater.apps.cli import recording
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.versions import version_text
from headwater.apps.cli.workplace import Workplace
from headwater.apps.http import example, logs
from headwater.apps.http.app import create_app
from headwater.apps.http.following import EVERY, Following
from headwater.apps.http.hooks import Watching
from headwater.apps.http.late_desk import LateDesk
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.monitors import Monitors, job
from headwater.apps.http.online import OwnerMetrics
from headwater.apps.http.scheduler import Scheduler, child
from headwater.apps.http.server import FOLD, Address, Server, beside, settle
from headwater.apps.http.shelf import Attic, Shelf, scorings
from headwater.apps.jobs.settings import JobSettings
from headwater.apps.jobs.timetable import timetable
from headwater.apps.masking import LogMask, Mask
from headwater.apps.online import Online
from headwater.apps.registries import versions_of
from headwater.apps.settings import environment
from headwater.apps.stores import records_of
from headwater.apps.tracing import traces
from headwater.serving.service import Service
from headwater.store.ahead import Ahead
from headwater.store.folder import DataFolder


def serve(
    work: Workplace,
    screen: Screen,
    host: str = "127.0.0.1",
    port: int = 8000,
    snapshot_every: float = 300.0,
    log_level: str = "warning",
    ahead: Ahead | None = None,
    role: str | None = None,
    url: str | None = None,
) -> None:
    """Serve a project until it is told to end; also what ``headwater demo --serve`` ends with."""
    masked = logs.set_up(log_level, mask=Mask.of(work.project))
    data = DataFolder(work.settings.data).make()
    settings, how = AccessSettings.read(environment()), JobSettings.read(environment())
    online = Online.read(environment(), part=role, url=url)
    timetable(work.project, how)  # a setting that names no job is told before anything is opened
    tls = None if settings.tls is None else context(settings.tls)
    registry = versions_of(work.settings, work.project)
    shelf = Shelf(registry, work.project)
    metrics = Metrics()
    hooks = Watching(metrics)
    started = time.perf_counter()
    tracing = traces(environment(), time.perf_counter_ns)
    with (
        nullcontext() if tracing is None else tracing,
        records_of(work.settings.data, work.settings.database) as records,
        Access.of(
            settings, records, host=host, clock=work.clock, stopwatch=_microseconds, look=LOOK
        ) as access,
        Service.open(
            work.project,
            data,
            scorings(shelf.champions()),
            clock=work.clock.now,
            stopwatch=time.perf_counter_ns,
            hooks=hooks,
            max_log_bytes=work.settings.log_bytes,
            ahead=ahead,
            decisions=recording.shared(records),
            limits=recording.limits(records),
        ) as service,
        ExitStack() as stack,
    ):
        rise = time.perf_counter() - started
        recording.warn_of_left_keys(screen, records, access, work.clock.now())
        publisher = None if online.address is None else _publishing(online, service, hooks, metrics)
        if publisher is not None:
            stack.enter_context(publisher.start())
        service.taking.shared_letters = records.letters(lambda: service.log) if records.shared else None
        metrics.database_up.set_function(lambda: int(records.away is None))
        trail = stack.enter_context(anchors.noted(records, service.decisions, work.clock.now))
        archive = Archive(work.project, registry, service.definitions)
        past = Attic(archive)
        following = Following(service, registry, shelf, archive, hooks.on_fault)
        hooks.monitors = stack.enter_context(Monitors(service, metrics, work.settings.parity_share))
        desk = LateDesk(
            lambda: import_module("headwater.apps.http.desk").Desk(service, following, trail, work.clock.now)
        )
        following.look()
        following.settle = desk.settle  # from the second look on: it may import MLflow
        metrics.registry_up.set_function(lambda: int(following.up))
        hooks.monitors.challengers = following.challengers
        worker = hooks.monitors.worker(job(work.settings, log_level=log_level))
        jobs = stack.enter_context(records.jobs())
        scheduler = Scheduler(service, work.settings, how, jobs, trail, work.clock.now, metrics)
        workers = [worker, scheduler.worker(child(work.settings, log_level))]
        chores = {"keys": access.credentials.note_uses}
        often = recording.often(records, service.decisions, access) | {
            "registry": (EVERY, following.look),
            "log": (FOLD, service.taking.checkpoint),
        }
        if records.shared:
            look = lambda: records.away or service.letters.dead_letters(limit=1)  # noqa: E731
            often["letters"] = recording.LOOK, look
        app = create_app(
            service,
            time.perf_counter_ns,
            metrics=metrics,
            reload=lambda: _reload(work, following, masked),
            past=past,
            access=access,
            tls=tls is not None,
            lifespan=beside(
                service,
                snapshot_every,
                metrics,
                hooks,
                [one for one in workers if one is not None],
                chores,
                often,
            ),
            monitors=hooks.monitors,
            desk=desk,
            scheduler=scheduler,
            records=records,
            traced=None if tracing is None else tracing.around,
            part=online.part,
        )
        service.decisions.write_ahead()
        settle()
        address = Address(host, port, None if tls is None else lambda: tls)
        server = Server(app, address, lambda url: _banner(screen, service, url, rise, shelf, access.told()))
        if publisher is not None:
            publisher.on_fenced = server.stop
        server.run()
        if publisher is not None and publisher.fenced is not None:
            raise publisher.fenced


def _publishing(online: Online, service: Service, hooks: Watching, metrics: Metrics) -> Any:
    """Who publishes the service's states, not started yet."""
    publisher = online.publisher(service, hooks.on_fault)
    hooks.applied = publisher.applied
    metrics.registry.register(OwnerMetrics(lambda: publisher.published, service.now, lambda: service.offset))
    return publisher


def _microseconds() -> int:
    return time.perf_counter_ns() // 1_000


def _reload(work: Workplace, following: Following, masked: LogMask) -> None:
    """Serve what the project file and the registry say now."""
    fresh = Workplace(work.settings, work.clock)
    masked.follow(Mask.of(fresh.project))  # before anything of it can be told
    following.reload(versions_of(fresh.settings, fresh.project), fresh.project)


def _banner(screen: Screen, service: Service, url: str, rise: float, shelf: Shelf, who: list[str]) -> None:
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
    for allowed in who:
        screen.say(f"  who may ask    {allowed}")
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
