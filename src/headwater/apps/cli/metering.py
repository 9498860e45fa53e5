"""``headwater stream --metrics``: what a host that answers nobody else shows of itself, and to whom.

Off unless the option or ``HEADWATER_METRICS`` says where. Called by ``stream`` and ``stream_on_spark``; what
is shown is in ``http.streaming``, how in ``http.board``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import click

from headwater.apps.access.bind import Bind
from headwater.apps.access.secret import read_secret
from headwater.apps.access.settings import AccessSettings
from headwater.apps.access.tls import context
from headwater.apps.cli.screen import Screen
from headwater.apps.http.board import METRICS, Board
from headwater.apps.http.online import OwnerMetrics
from headwater.apps.http.pulse import Pulse
from headwater.apps.http.streaming import WAITING, StreamMetrics
from headwater.apps.settings import environment
from headwater.core.clock import Clock

OPTION = click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    help="Show /metrics, /readyz and /livez there; a port alone is this machine's. [default: nowhere]",
)
TOKEN = "HEADWATER_METRICS_TOKEN"  # noqa: S105 - the variable's name


@dataclass(frozen=True)
class Meter:
    """What a host is measured by.

    Attributes:
        metrics: fed by its hooks.
        pulse: beaten by its loop.
        now: microseconds UTC.
    """

    metrics: StreamMetrics
    pulse: Pulse
    now: Callable[[], int]

    @classmethod
    def of(cls, clock: Clock, missing: str = WAITING) -> Meter:
        """A new one; ``missing`` keeps its host from being ready at first."""
        pulse = Pulse(time.perf_counter_ns)
        return cls(StreamMetrics(pulse, clock.now, time.perf_counter_ns, missing), pulse, clock.now)

    def around(self, hooks: Any) -> Any:
        """A Kafka host's hooks, with the meter's beside."""
        metrics = self.metrics
        return replace(
            hooks,
            on_turn=self.counting(hooks.on_turn),
            on_fault=self.noting(hooks.on_fault),
            on_moved=metrics.moved,
            on_restored=metrics.restored,
            on_standing=metrics.standing,
        )

    def counting(self, on_turn: Callable[[Any], None]) -> Callable[[Any], None]:
        """Who is told of turns, with the meter beside."""
        return _each(on_turn, self.metrics.turn)

    def looked(self, look: Any) -> None:
        """What Spark says of a batch; see ``scale.spark.progress``."""
        self.metrics.looked(look)

    def noting(self, on_fault: Callable[[str, BaseException], None]) -> Callable[[str, BaseException], None]:
        """Who is told of faults, with the meter beside."""
        return _each(on_fault, self.metrics.fault)

    def publishes(self, owners: Any, place: Callable[[], int]) -> None:
        """The host publishes its parts of the online store, too.

        Args:
            owners: who does; see ``scale.redis.owners``.
            place: how many records the host has taken in.
        """
        self.metrics.registry.register(
            OwnerMetrics(lambda: owners.published, self.now, lambda: place() - 1)  # made anew by each look
        )


@contextmanager
def metering(
    given: str | None, clock: Clock, screen: Screen, missing: str = WAITING
) -> Iterator[Meter | None]:
    """Show metrics and answer probes within, if that is asked for.

    Args:
        given: ``--metrics``.
        clock: tells now.
        screen: where it is said.
        missing: what keeps the host from being ready at first.

    Raises:
        DataError: the address cannot be read, or is taken.
        AccessError: certificate and key cannot be used.
    """
    environ = environment()
    text = given or environ.get("HEADWATER_METRICS")
    if not text:
        yield None
        return
    bind = Bind.of(text, "--metrics" if given else "HEADWATER_METRICS")
    tls = AccessSettings.read(environ).tls
    meter = Meter.of(clock, missing)
    with Board(
        bind,
        meter.metrics.page,
        {"/readyz": meter.pulse.ready, "/livez": meter.pulse.alive},
        read_secret(TOKEN, environ),
        None if tls is None else context(tls),
        meter.metrics.fault,
    ) as board:
        screen.note(f"metrics: {board.url}{METRICS}, beside /readyz and /livez")
        if not board.shows_metrics:
            screen.note(f"{METRICS} is closed on {bind.host}: set {TOKEN}_FILE; probes are answered")
        yield meter


def unmeasured() -> None:
    """What is done at each turn where nobody measures."""


def _each(*told: Callable[..., None]) -> Callable[..., None]:
    """All of them, one after the other."""

    def tell(*what: Any) -> None:
        for one in told:
            one(*what)

    return tell
