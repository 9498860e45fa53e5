"""The hosts of records: the embedded one always, Postgres where ``make services`` has started it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.store.hosts import Embedded, Host, Postgres, with_tables


@pytest.fixture(scope="session")
def tables(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with all tables."""
    with with_tables(request.getfixturevalue("services")["HEADWATER_POSTGRES"]) as url:
        yield url


@pytest.fixture(params=["embedded", pytest.param("postgres", marks=pytest.mark.services)])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """Where records lie."""
    if request.param == "embedded":
        yield Embedded(tmp_path)
        return
    with ExitStack() as stack:
        made = Postgres(request.getfixturevalue("tables"), stack)
        made.empty()
        yield made
