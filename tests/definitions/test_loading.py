from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from headwater.core.errors import DefinitionError
from headwater.definitions.loading import load_project
from tests.letters import says

FILE = """\
import polars as pl
import headwater as hw


class Guess:
    def fit(self, X, y): ...
    def predict_proba(self, X): ...


visits = hw.Stream("visits", {"user": pl.Int64, "time": pl.Datetime("us", "UTC")})
activity = hw.FeatureView("activity", visits, "user", {"n": hw.count(over="7d")})
returns = hw.Model("returns", [activity], hw.happens(visits, within="7d"), hw.every("7d"), Guess())
project = hw.Project("shop", models=[returns])
"""


def write(folder: Path, text: str | bytes, name: str = "project.py") -> Path:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_a_file_or_its_folder(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    assert load_project(file) == load_project(tmp_path)
    assert load_project(str(file)).name == "shop"


def test_the_same_project_under_two_names_is_one(tmp_path: Path) -> None:
    assert load_project(write(tmp_path, FILE + "again = project\n")).name == "shop"


def test_classes_of_the_file_can_be_pickled(tmp_path: Path) -> None:
    estimator = load_project(write(tmp_path, FILE)).models[0].estimator
    assert type(estimator).__module__ == "headwater_project_project"
    assert type(pickle.loads(pickle.dumps(estimator))) is type(estimator)  # noqa: S301 - our own bytes


def test_the_file_sees_its_own_folder(tmp_path: Path) -> None:
    write(tmp_path, "SPAN = '9d'\n", "neighbour_of_the_project.py")
    file = write(tmp_path, "from neighbour_of_the_project import SPAN\n" + FILE.replace('"7d"', "SPAN"))
    before = list(sys.path)
    assert load_project(file).views[0].outputs[0].name == "n_9d"
    assert sys.path == before


def test_a_missing_file(tmp_path: Path) -> None:
    with says(
        DefinitionError,
        f"""
        the project file cannot be read
          expected: a Python file that makes an hw.Project
          got:      No such file or directory
          where:    {tmp_path / "project.py"}
          do:       check the path, or write a new project with `headwater init`
        """,
    ):
        load_project(tmp_path)


def test_a_syntax_error(tmp_path: Path) -> None:
    file = write(tmp_path, "import headwater as hw\nstream = hw.Stream(\n")
    with says(
        DefinitionError,
        f"""
        the project file is not valid Python
          expected: Python source in UTF-8
          got:      '(' was never closed: stream = hw.Stream(
          where:    {file}:2
          do:       mend this line
        """,
    ):
        load_project(file)


@pytest.mark.parametrize("content", [b"name = 'caf\xe9'\n", b"x = 1\x00\n"])
def test_no_text_at_all(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DefinitionError, match="the project file is not valid Python"):
        load_project(write(tmp_path, content))


def test_a_file_that_fails_says_where(tmp_path: Path) -> None:
    """The line is the file's own, not one of a library that it calls."""
    file = write(tmp_path, "import json\n\ndef read(text):\n    return json.loads(text)\n\nread('{')\n")
    with says(
        DefinitionError,
        f"""
        the project file fails when it is run
          expected: a file that runs and makes an hw.Project
          got:      JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)
          where:    {file}:4
          do:       mend this line; running the file with Python shows the whole traceback
        """,  # noqa: E501
    ):
        load_project(file)


def test_a_file_that_exits(tmp_path: Path) -> None:
    file = write(tmp_path, "import sys\nsys.exit(3)\n")
    with says(
        DefinitionError,
        f"""
        the project file fails when it is run
          expected: a file that runs and makes an hw.Project
          got:      SystemExit: 3
          where:    {file}:2
          do:       mend this line; running the file with Python shows the whole traceback
        """,
    ):
        load_project(file)


def test_no_project_and_two(tmp_path: Path) -> None:
    file = write(tmp_path, "import headwater as hw\n")
    with says(
        DefinitionError,
        f"""
        the project file makes no project
          expected: one hw.Project at the top level of the file
          got:      none
          where:    {file}
          do:       add project = hw.Project(...)
        """,
    ):
        load_project(file)
    file = write(tmp_path, FILE + 'other = hw.Project("other", models=[returns])\n')
    with says(
        DefinitionError,
        f"""
        the project file makes several projects
          expected: one hw.Project at the top level of the file
          got:      project, other
          where:    {file}
          do:       keep one of them
        """,
    ):
        load_project(file)


def test_errors_of_definitions_come_through_and_leave_the_last_good_module(tmp_path: Path) -> None:
    load_project(write(tmp_path, FILE, "shop.py"))
    module = sys.modules["headwater_project_shop"]
    file = write(tmp_path, FILE.replace('"user", {', '"usr", {'), "shop.py")
    with says(
        DefinitionError,
        """
        the column 'usr' is not in the schema of visits
          expected: one of user, time
          got:      'usr'
          where:    activity.key
          do:       did you mean 'user'?
        """,
    ):
        load_project(file)
    assert sys.modules["headwater_project_shop"] is module
