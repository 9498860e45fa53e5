"""The online store as it is set: which part of the work a server does, and where Redis is.

An option of the command line wins over its variable. The password comes from its variable or a file, never
from an option or the address, which others can read. Called by ``headwater serve`` and ``headwater stream``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from headwater.apps.access.secret import read_secret
from headwater.apps.extras import need
from headwater.apps.http.parts import Part
from headwater.apps.settings import environment
from headwater.core.errors import DataError
from headwater.definitions.project import Project
from headwater.serving.service import Service

PASSWORD = "HEADWATER_ONLINE_PASSWORD"  # noqa: S105 - the variable's name


@dataclass(frozen=True)
class Online:
    """What was set.

    Attributes:
        part: of the work.
        address: of Redis, as ``scale.redis`` reads it; None where there is none.
    """

    part: Part = Part.ALL
    address: Any = None

    @classmethod
    def read(cls, environ: Mapping[str, str], *, part: str | None = None, url: str | None = None) -> Online:
        """Read it: given options first, then the environment.

        Raises:
            DataError: it cannot be read, or a part of the work needs an online store and none is set.
            MissingExtraError: Redis' library is not installed.
        """
        named, place = (
            part or environ.get("HEADWATER_ROLE") or Part.ALL,
            url or environ.get("HEADWATER_ONLINE"),
        )
        if named not in tuple(Part):
            raise DataError.of(
                "the setting HEADWATER_ROLE cannot be read",
                expected=", ".join(Part),
                got=repr(named[:40]),
                do="correct the environment variable, or unset it",
            )
        if not place:
            if named == Part.ALL:
                return cls()
            raise DataError.of(
                f"a server with the role {named} needs the online store",
                expected="its address, redis://host:port/database",
                got="none",
                where="HEADWATER_ONLINE",
                do="give --online, or set HEADWATER_ONLINE",
            )
        ca = environ.get("HEADWATER_ONLINE_CA") or None
        return cls(Part(named), library().Address.of(place, read_secret(PASSWORD, environ), ca))

    def publisher(self, service: Service, on_fault: Callable[[str, BaseException], None]) -> Any:
        """Who publishes what a service's engine holds, not started yet; see ``scale.redis.publisher``."""
        redis = library()

        def held() -> Any:
            serving = service.serving
            return redis.Held(serving.project.name, serving.project.views, serving.vectors)

        return redis.Publisher(self.address, held, service.now, time.perf_counter_ns, on_fault)

    def owners(
        self, project: Project, now: Callable[[], int], on_fault: Callable[[str, BaseException], None]
    ) -> Any:
        """Who publishes the partitions of a Kafka host, not started yet; see ``scale.redis.owners``."""
        of = project.name, project.views
        return library().Owners(self.address, *of, now, time.perf_counter_ns, on_fault)

    def reading(self) -> tuple[Callable[[Project], Any], Any]:
        """What makes the vectors of a project, and what they have seen so far."""
        redis = library()
        seen = redis.Seen()

        def vectors(project: Project) -> Any:
            source = redis.Source(self.address, project.name, project.views, time.perf_counter_ns, seen)
            return redis.OnlineVectors(project.views, source)

        return vectors, seen


def address(url: str) -> Any:
    """Redis' address, for a process that reads it by itself: it has the password in its own environment."""
    return Online.read(environment(), part=Part.ALL, url=url).address


def library() -> Any:
    """``scale.redis``.

    Raises:
        MissingExtraError: its library is not installed.
    """
    need("redis", "redis")
    return import_module("headwater.scale.redis.door")
