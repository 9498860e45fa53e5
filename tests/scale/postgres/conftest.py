"""Databases for tests: one with tables, one without, and a server of Postgres that may be killed."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import ENV
from tests.store.hosts import Postgres, own_database, with_tables
from tools.services.postgres import Postgres as Server
from tools.services.process import Process, free_port, listens


@pytest.fixture
def bare(services: Mapping[str, str]) -> Iterator[Postgres]:
    """A database without tables."""
    with own_database(services["HEADWATER_POSTGRES"]) as url, ExitStack() as stack:
        yield Postgres(url, stack)


@pytest.fixture(scope="module")
def tables(services: Mapping[str, str]) -> Iterator[str]:
    """A database with all tables."""
    with with_tables(services["HEADWATER_POSTGRES"]) as url:
        yield url


@pytest.fixture
def shared(tables: str) -> Iterator[Postgres]:
    """A database with all tables, and nothing in them."""
    with ExitStack() as stack:
        made = Postgres(tables, stack)
        made.empty()
        yield made


@dataclass
class Own:
    """A server of Postgres of the test's own."""

    server: Server
    port: int
    url: str

    def start(self) -> None:
        self.server.start(self.port, _PASSWORD)

    def crash(self) -> None:
        """All its processes end at once, without a word to anybody: what it had not on disk is gone."""
        assert self.server.process.stop()
        assert not listens(self.port)


_PASSWORD = "of-a-test"  # noqa: S105


@pytest.fixture
def own(services: Mapping[str, str]) -> Iterator[Own]:  # noqa: ARG001 - says that Postgres is installed
    """A server that may be killed; it is gone afterwards."""
    folder = Path(ENV).parent / f"postgres-{uuid4().hex[:8]}"
    made, port = Server(folder), free_port()
    made.process = Process(folder, signal.SIGQUIT)
    try:
        made.start(port, _PASSWORD)
        yield Own(made, port, f"postgresql://headwater:{_PASSWORD}@127.0.0.1:{port}/headwater")
    finally:
        made.process.stop()
        shutil.rmtree(folder, ignore_errors=True)
