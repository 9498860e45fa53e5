"""A house for each test: a registry of its own in one shared store, since to make a store takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.models.registry import Registry
from headwater.store.audit import AuditTrail
from tests.retraining.house import House


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def house(store: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    with AuditTrail.open(tmp_path / "access.db") as trail:
        yield House(tmp_path, Registry(store, request.node.name), trail)
