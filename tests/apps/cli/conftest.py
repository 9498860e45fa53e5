"""The command line run in this process, in a folder of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.settings import SETTINGS
from tests.apps.cli.shop import payments, project_text, write_csv


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        assert "\x1b" not in self.out
        return json.loads(self.out)

    def fails(self, code: int, text: str) -> None:
        """It ended with this code and exactly this letter, and said nothing on stdout."""
        assert self.err == dedent(text).lstrip("\n")
        assert (self.code, self.out) == (code, "")


Headwater = Callable[..., Ended]


@pytest.fixture
def headwater(capfd: pytest.CaptureFixture[str]) -> Headwater:
    """Runs ``headwater`` with arguments."""

    def call(*args: str) -> Ended:
        capfd.readouterr()
        code = run(cli, args)
        return Ended(code, *capfd.readouterr())

    return call


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the present one; nothing is set in the environment."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shop(place: Path) -> Path:
    """A folder with a project file and ``payments.csv``; nothing is imported."""
    (place / "project.py").write_text(project_text(), encoding="utf-8")
    write_csv(payments(), place / "payments.csv")
    return place


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, its events and a trained model. Do not change it: see ``trained``."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "project.py").write_text(project_text(), encoding="utf-8")
    write_csv(payments(), folder / "payments.csv")
    at = ["--project", str(folder)]
    assert run(cli, ["import", str(folder / "payments.csv"), *at]) == 0
    assert run(cli, ["train", "--bootstrap", "20", *at]) == 0
    return folder


@pytest.fixture
def trained(trained_folder: Path, place: Path) -> Path:
    """The present folder has a project and events; its models are those of ``trained_folder``."""
    shutil.copytree(trained_folder, place, dirs_exist_ok=True)
    return place
