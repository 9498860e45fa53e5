from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version

import pytest

import headwater as hw

LATER = {"asof", "__version__"}


@pytest.mark.parametrize("name", sorted(set(hw.__all__) - LATER))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(hw, name).__doc__


def test_asof_has_its_place() -> None:
    assert import_module("headwater.engine.asof").asof is hw.asof


def test_dir_and_version() -> None:
    assert dir(hw) == sorted(hw.__all__)
    assert hw.__version__ == version("headwater")


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match=r"^module 'headwater' has no attribute 'median'$"):
        hw.median  # noqa: B018 - the look-up is the test


def test_importing_headwater_imports_nothing_heavy() -> None:
    script = (
        "import sys, headwater;"
        "heavy = {'polars', 'numpy', 'numba', 'sklearn', 'mlflow', 'pandas', 'pyarrow'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_definitions_import_no_library_of_higher_floors() -> None:
    script = (
        "import sys, headwater as hw; [getattr(hw, n) for n in hw.__all__ if n != 'asof'];"
        "print(sorted({'numba', 'sklearn', 'mlflow', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
