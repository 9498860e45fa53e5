"""A server that only decides, over HTTP: from states in the online store, records its own or shared ones.

Imported by ``serve`` for ``--role decide``. What it leaves out of ``serving`` needs the log: events, scores,
monitors, jobs, promotion.
"""

from __future__ import annotations

import time
from contextlib import nullcontext

from headwater.apps import anchors
from headwater.apps.access.door import LOOK, Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.access.tls import context
from headwater.apps.archive import Archive
from headwater.apps.cli import recording
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace
from headwater.apps.http import logs
from headwater.apps.http.app import create_app
from headwater.apps.http.following import EVERY, Following
from headwater.apps.http.hooks import Watching
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.online import ReplicaMetrics
from headwater.apps.http.parts import Part
from headwater.apps.http.server import Address, Server, beside, settle
from headwater.apps.http.shelf import Attic, Shelf, scorings
from headwater.apps.masking import LogMask, Mask
from headwater.apps.online import Online
from headwater.apps.registries import versions_of
from headwater.apps.settings import environment
from headwater.apps.stores import records_of
from headwater.apps.tracing import traces
from headwater.core.errors import OnlineError
from headwater.serving.replica import Replica
from headwater.store.folder import DataFolder

_LOOK = 1.0  # seconds between two looks at the store


def decide(
    work: Workplace, screen: Screen, host: str, port: int, log_level: str, url: str | None = None
) -> None:
    """Decide until it is told to end."""
    masked = logs.set_up(log_level, mask=Mask.of(work.project))
    data = DataFolder(work.settings.data).make()
    settings = AccessSettings.read(environment())
    online = Online.read(environment(), part=Part.DECIDE, url=url)
    tls = None if settings.tls is None else context(settings.tls)
    registry = versions_of(work.settings, work.project)
    shelf = Shelf(registry, work.project)
    metrics = Metrics()
    hooks = Watching(metrics)
    tracing = traces(environment(), time.perf_counter_ns)
    vectors, seen = online.reading()
    metrics.registry.register(ReplicaMetrics(lambda: seen, work.clock.now))
    with (
        nullcontext() if tracing is None else tracing,
        records_of(work.settings.data, work.settings.database) as records,
        Access.of(
            settings, records, host=host, clock=work.clock, stopwatch=_microseconds, look=LOOK
        ) as access,
        Replica.open(
            work.project,
            data,
            scorings(shelf.champions()),
            vectors,
            clock=work.clock.now,
            stopwatch=time.perf_counter_ns,
            hooks=hooks,
            decisions=recording.shared(records),
            limits=recording.limits(records),
        ) as replica,
        anchors.noted(records, replica.decisions, work.clock.now),
    ):
        recording.warn_of_left_keys(screen, records, access, work.clock.now())
        metrics.database_up.set_function(lambda: int(records.away is None))
        archive = Archive(work.project, registry, replica.definitions)
        following = Following(replica, registry, shelf, archive, hooks.on_fault)
        following.look()
        metrics.registry_up.set_function(lambda: int(following.up))
        often = recording.often(records, replica.decisions, access) | {
            "registry": (EVERY, following.look),
            "online": (_LOOK, lambda: whole(replica)),
        }
        app = create_app(
            replica,
            time.perf_counter_ns,
            metrics=metrics,
            reload=lambda: _reload(work, following, masked),
            past=Attic(archive),
            access=access,
            tls=tls is not None,
            lifespan=beside(
                None, 0.0, metrics, hooks, chores={"keys": access.credentials.note_uses}, often=often
            ),
            records=records,
            traced=None if tracing is None else tracing.around,
            part=Part.DECIDE,
        )
        whole(replica)
        replica.decisions.write_ahead()
        settle()
        address = Address(host, port, None if tls is None else lambda: tls)
        Server(app, address, lambda url: _banner(screen, replica, url, access.told())).run()


def whole(replica: Replica) -> bool:
    """Look at the store; what was seen is in the metrics, and in the answers."""
    try:
        replica.serving.vectors.look()
    except OnlineError:
        return False
    return True


def _microseconds() -> int:
    return time.perf_counter_ns() // 1_000


def _reload(work: Workplace, following: Following, masked: LogMask) -> None:
    """Serve what the project file and the registry say now."""
    fresh = Workplace(work.settings, work.clock)
    masked.follow(Mask.of(fresh.project))
    following.reload(versions_of(fresh.settings, fresh.project), fresh.project)


def _banner(screen: Screen, replica: Replica, url: str, who: list[str]) -> None:
    """Where to look."""
    project = replica.serving.project
    ready = whole(replica)
    if screen.as_json:
        screen.write(
            {"url": url, "project": project.name, "role": "decide", "offset": replica.offset, "whole": ready}
        )
        return
    screen.say(f"Headwater decides for {project.name} at {url}", "bold")
    state = (
        f"whole, up to event {replica.offset + 1:,}" if ready else "not whole: nothing is decided until it is"
    )
    screen.say(f"  online store   {state}")
    screen.say(f"  documentation  {url}/docs")
    screen.say(f"  metrics        {url}/metrics")
    for allowed in who:
        screen.say(f"  who may ask    {allowed}")
    for model in project.models:
        told = "served" if model.name in replica.serving.scorings else "not trained yet: `headwater train`"
        screen.say(f"  model          {model.name}, {told}")
    screen.say("  Ctrl-C ends it, and finishes what was taken")
