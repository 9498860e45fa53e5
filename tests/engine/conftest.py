"""One test body, all hosts."""

from __future__ import annotations

import pytest

from tests.engine.hosts import ENGINES, ORACLE, Host


@pytest.fixture(params=[ORACLE, *ENGINES], ids=lambda host: host.label)
def host(request: pytest.FixtureRequest) -> Host:
    """Every host, the slow truth among them: what is worked out by hand holds for all."""
    found: Host = request.param
    return found


@pytest.fixture(params=ENGINES, ids=lambda host: host.label)
def engine(request: pytest.FixtureRequest) -> Host:
    """Every host but the slow truth: what is compared with it."""
    found: Host = request.param
    return found
