"""What all tests share: Hypothesis' profile and the public data sets, which are read by path only."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# The first call of a kernel compiles it, so no deadline; in CI every run tries the same examples.
settings.register_profile("headwater", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("headwater")

FIXTURE = "data_folder"
DEMANDED = {"data": "HEADWATER_DATA", "airflow": "HEADWATER_AIRFLOW"}  # mark: what, set, forbids to skip


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what reads the public data, so that ``-m "not data"`` leaves it out."""
    for item in items:
        if FIXTURE in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.data)


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
