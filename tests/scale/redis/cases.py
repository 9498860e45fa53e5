"""The small bank with its states in Redis: an owner and whoever reads, each in a folder of its own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import headwater as hw
from headwater.apps.online import Online
from headwater.core.secret import Secret
from headwater.scale.redis.connection import Address
from headwater.scale.redis.publisher import Publisher
from headwater.scale.redis.source import Source
from headwater.scale.redis.vectors import OnlineVectors
from headwater.serving.service import Service
from tests.http.house import Faults, open_service
from tests.serving import bank


class Owning(Faults):
    """Hands what was applied to a publisher, once there is one."""

    publisher: Publisher | None = None

    def on_applied(self, events: Any) -> None:
        if self.publisher is not None:
            self.publisher.applied(events)


def address(services: Mapping[str, str], database: int = 0) -> Address:
    """Of the server that ``make services`` started."""
    parts = urlsplit(services["HEADWATER_REDIS"])
    bare = urlunsplit(parts._replace(netloc=f"{parts.hostname}:{parts.port}"))
    return replace(Address.of(bare, Secret(parts.password or "")), database=database)


def project() -> hw.Project:
    """The bank under a name of its own, so that tests share a server."""
    return hw.Project(f"bank{secrets.token_hex(4)}", models=[bank.RISK], policies=[bank.POLICY])


@contextmanager
def owner(
    folder: Path, at: Address, of: hw.Project, **kw: Any
) -> Iterator[tuple[Service, Publisher, Owning]]:
    """A service that owns the bank's log and publishes its states."""
    hooks = Owning()
    with open_service(folder, project=of, hooks=hooks, **kw) as service:
        publisher = Online(address=at).publisher(service, hooks.on_fault)
        hooks.publisher = publisher
        with publisher.start():
            yield service, publisher, hooks


def online(at: Address, of: hw.Project) -> OnlineVectors:
    """Whoever reads."""
    return OnlineVectors(of.views, Source(at, of.name, of.views, time.perf_counter_ns))


def until(ready: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for another thread or process."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def published(service: Service, publisher: Publisher) -> None:
    """Wait until all that the service has is in Redis."""
    until(lambda: publisher.published.whole and publisher.published.offset >= service.offset)
