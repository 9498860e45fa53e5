"""A broker of the tests' own, to be killed, with SASL and TLS listeners beside the plain one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import ENV
from tools.services.kafka import Kafka, Secured
from tools.services.process import free_port

USER, PASSWORD = "headwater", "of-the-tests-alone"


@pytest.fixture(scope="package")
def secured() -> Secured:
    return Secured(free_port(), free_port(), USER, PASSWORD)


@pytest.fixture(scope="package")
def port() -> int:
    return free_port()


@pytest.fixture(scope="package")
def broker(
    services: Mapping[str, str], secured: Secured, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kafka]:
    """Started once; whoever kills it starts it again."""
    assert services
    jars = Path(os.environ.get("HEADWATER_SERVICES") or ENV).parent / "jars"
    made = Kafka(tmp_path_factory.mktemp("broker"), jars, secured)
    made.start(port)
    yield made
    made.process.stop()


@pytest.fixture
def brokers(broker: Kafka, port: int) -> str:
    """Its plain address."""
    assert broker.process.pid is not None
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="package")
def registry(services: Mapping[str, str]) -> str:
    """The schema registry's address."""
    if "HEADWATER_SCHEMA_REGISTRY" not in services:
        pytest.skip("there is no schema registry: `make services` starts it")
    return services["HEADWATER_SCHEMA_REGISTRY"]
