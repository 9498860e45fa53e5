"""The small bank behind a server that has a registry: a champion and a challenger."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from headwater.apps.archive import Archive
from headwater.apps.http.desk import Desk
from headwater.apps.http.following import Following
from headwater.apps.http.shelf import Attic, Shelf, scorings
from headwater.models.registry import Registry
from headwater.serving.service import Service
from headwater.store.audit import AuditTrail
from headwater.training.train import Plan, train
from tests.http.house import Faults, House, serving
from tests.serving.bank import PROJECT, history


@dataclass
class Loop:
    """What stands around the registry of a running service."""

    registry: Registry
    following: Following
    trail: AuditTrail

    def artifact(self, number: int) -> Path:
        """The folder of a version's files."""
        return Path(self.registry.version("risk", number).location.removeprefix("file://")) / "headwater"

    def digest(self, number: int) -> str:
        """The seal of a version."""
        return self.registry.version("risk", number).digest

    def acts(self, noun: str = "model") -> list[Any]:
        """What the audit trail says of models."""
        entries = [entry.act for entry in self.trail.page(limit=1000)]
        return [act for act in entries if act.action.startswith(f"{noun}.")]


@cache
def _store() -> tempfile.TemporaryDirectory[str]:
    """Where all registries lie: to make it takes seconds. Goes away with the process."""
    return tempfile.TemporaryDirectory(prefix="headwater-registry-")


_NUMBERS = count(1)


def registry_of(versions: int = 2) -> Registry:
    """A registry with so many versions: the first is champion, the last challenger."""
    registry = Registry(_store().name, f"bank-{next(_NUMBERS)}")
    for seed in range(versions):
        given = {stream.name: history(seed=seed)[stream.name] for stream in PROJECT.streams}
        train(PROJECT, None, given, registry, now=0, plan=Plan(bootstrap=0))
    return registry


@contextmanager
def registered(folder: Path) -> Iterator[tuple[House, Loop]]:
    """A server with a registry of its own, until the block ends."""
    registry = registry_of()
    shelf = Shelf(registry, PROJECT)
    found: list[Loop] = []

    def also(service: Service, stack: ExitStack, faults: Faults) -> Mapping[str, Any]:
        archive = Archive(PROJECT, registry, service.definitions)
        following = Following(service, registry, shelf, archive, faults.on_fault)
        trail = stack.enter_context(AuditTrail.open(service.folder.access))
        found.append(Loop(registry, following, trail))
        return {
            "desk": Desk(service, following, trail, service.now),
            "past": Attic(archive),
            "reload": lambda: following.reload(registry, service.serving.project),
        }

    with serving(folder, scorings=scorings(shelf.champions()), also=also) as house:
        yield house, found[0]
