"""What all tests share: Hypothesis' profile, the public data sets, and the services of ``make services``."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

# The first call of a kernel compiles it, so no deadline; in CI every run tries the same examples.
settings.register_profile("headwater", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("headwater")

# A program that a test starts is compiled once, not each time: without bytecode it takes ten times as long
# to rise.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Workers share the processors already: threads of a library would only wait for one another, busily. Whoever
# runs tests one at a time, as those that are ``alone`` are, has them with as many threads as a user would.
if "PYTEST_XDIST_WORKER" in os.environ:
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")

ENV = Path(__file__).resolve().parents[1] / "build" / "services" / "env"

# Mark, by the fixture that a test asks for; and what, set, says that such a test may not skip.
FIXTURES = {"data_folder": "data", "services": "services"}
LONG = ("slow", "spark", "airflow", "services", "tables")
DEMANDED = {
    "airflow": "HEADWATER_AIRFLOW",
    "data": "HEADWATER_DATA",
    "deploy": "HEADWATER_DEPLOY",
    "services": "HEADWATER_SERVICES",
    "spark": "HEADWATER_SERVICES",
    "tables": "HEADWATER_TABLES",
}


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with ``berka/`` and ``fraud_handbook/``, from HEADWATER_DATA; without it the test skips."""
    named = os.environ.get("HEADWATER_DATA")
    if not named:
        pytest.skip("public data not read: say where it is with HEADWATER_DATA or `make test DATA=path`")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"HEADWATER_DATA names {named}, which is not a folder")
    return folder


@pytest.fixture(scope="session")
def services() -> Mapping[str, str]:
    """Where Kafka, PostgreSQL and Redis are, as ``make services`` wrote it; without it the test skips."""
    named = Path(os.environ.get("HEADWATER_SERVICES") or ENV)
    if not named.is_file():
        pytest.skip("services are not there: `make services` starts them")
    found = dict(line.split("=", 1) for line in named.read_text(encoding="utf-8").splitlines())
    port = int(found["HEADWATER_KAFKA"].rpartition(":")[2])
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            pytest.skip(f"services do not run, although {named.name} names them: `make services` starts them")
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what reads the public data or needs services: ``-m "not data and not services"`` leaves it out.

    Files with slow tests come first, so that of two workers none has a long one left when all else is done.
    """
    for item in items:
        for fixture, mark in FIXTURES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    long = {item.path for item in items if any(item.get_closest_marker(mark) for mark in LONG)}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where what a test needs was named, a test that skips has failed."""
    report = yield
    for mark, variable in DEMANDED.items():
        if report.skipped and item.get_closest_marker(mark) and os.environ.get(variable):
            report.outcome = "failed"
            report.longrepr = f"{variable} is set, so this test may not skip: {report.longrepr}"
    return report
