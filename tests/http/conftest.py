"""One server for the tests of a module, and a project folder for those that start their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from tests.apps.cli.shop import payments, project_text, write_csv
from tests.http.house import House, serving


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The small bank, live. Tests of a module share it: each uses accounts and ids of its own."""
    with serving(tmp_path_factory.mktemp("bank")) as made:
        yield made
        made.monitors.round()
        assert made.faults.faults == []
        assert made.monitors.parity.page() == []  # all that was served in these tests, derived again
        assert made.monitors.parity.stands().gone == 0


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with events and a trained model, as a user makes it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "project.py").write_text(project_text(), encoding="utf-8")
    write_csv(payments(), folder / "payments.csv")
    at = ["--project", str(folder)]
    assert run(cli, ["import", str(folder / "payments.csv"), *at]) == 0
    assert run(cli, ["train", "--bootstrap", "20", *at]) == 0
    return folder


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "shop")
    return tmp_path / "shop"
