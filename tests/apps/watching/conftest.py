"""The small lender, built once; each test has a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.apps.cli.conftest import headwater, place
from tests.apps.watching.house import build

__all__ = ["headwater", "place"]


@pytest.fixture(scope="session")
def lender_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lender. Do not change it: see ``lender``."""
    folder = tmp_path_factory.mktemp("lender")
    build(folder)
    return folder


@pytest.fixture
def lender(lender_folder: Path, place: Path) -> Path:
    """The present folder is the lender's."""
    shutil.copytree(lender_folder, place, dirs_exist_ok=True)
    return place
