"""``headwater`` starts quickly, lists its commands, and ends with codes and letters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from headwater.apps.cli import audit, bench, keys, log
from headwater.apps.cli.exits import MEANINGS, Exit, exit_of
from headwater.apps.cli.failures import run
from headwater.apps.cli.lazy import LazyGroup
from headwater.apps.cli.main import cli
from headwater.core import errors
from tests.apps.cli.conftest import Headwater

SECONDS = 0.3
HEAVY = {"polars", "mlflow", "numba", "sklearn", "rich", "numpy", "pandas", "pyarrow"}


@pytest.mark.parametrize("code", ["import headwater", "from headwater.apps.cli.main import main; main()"])
def test_start_is_quick(code: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    took = []
    for _ in range(5):
        before = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", f"import sys; sys.argv = ['headwater', '--help']\n{code}"],
            env=environment,
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        took.append(time.perf_counter() - before)
    assert min(took) < SECONDS, f"best of {len(took)}: {min(took):.3f} s"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from headwater.apps.cli.main import cli; cli.main(['--help'], standalone_mode=False);"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (group, name)
        for group in (cli, log.command, keys.command, audit.command, bench.command)
        for name in group.list_commands(click.Context(group))
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_table_says_what_the_command_says(group: LazyGroup, name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] == group.table[name][1]


def test_version(headwater: Headwater) -> None:
    ended = headwater("--version")
    assert ended.out.startswith("headwater ")
    assert ended.code == 0


def test_no_command_is_answered_with_the_help(headwater: Headwater) -> None:
    ended = headwater()
    assert ended.code == 2
    assert ended.err == headwater("--help").out


def test_a_command_that_is_none(headwater: Headwater) -> None:
    headwater("trian").fails(
        2,
        """
        no such command 'trian': did you mean 'train'?
          do:       see `headwater --help`
        """,
    )


def test_an_option_that_is_none(headwater: Headwater) -> None:
    headwater("plan", "--colour").fails(
        2,
        """
        No such option '--colour'.
          do:       see `headwater plan --help`
        """,
    )


def test_every_error_has_an_exit() -> None:
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.HeadwaterError)
    }
    bare = {kind for kind in kinds - {errors.HeadwaterError} if exit_of(kind.of("x")) is Exit.BUG}
    assert not bare
    assert set(MEANINGS) == set(Exit)


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.argument("kind")
def breaks(kind: str, as_json: bool) -> None:  # noqa: ARG001
    """Fail in a way that only a bug, a person or a machine can."""
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "disk":
        raise OSError(28, "No space left on device", "out.csv")
    if kind == "rights":
        raise PermissionError(13, "Permission denied", "out.csv")
    if kind == "memory":
        raise MemoryError
    raise ValueError("Ada Lovelace, 4111 1111 1111 1111")


def test_a_bug_is_told_with_an_id_and_without_what_it_quotes(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(breaks, ["bug"]) == 1
    out, err = capfd.readouterr()
    what, got, where, do = err.splitlines()
    assert what == "Headwater failed in a way that nobody foresaw; this is a bug"
    assert got.startswith("  got:      ValueError, bug id ")
    assert where.startswith("  where:    test_start.py:")
    assert do == "  do:       report it with its id and your command; HEADWATER_DEBUG=1 shows the traceback"
    assert "Ada" not in out + err
    assert run(breaks, ["bug"]) == 1
    assert capfd.readouterr().err.splitlines()[1] == got  # the same bug has the same id


def test_debug_shows_the_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(breaks, ["bug"], debug=True) == 1
    assert "Traceback (most recent call last)" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        (
            "interrupt",
            130,
            """\
interrupted: what was finished stays, nothing is half-applied
  do:       run the same command again to go on
""",
        ),
        (
            "disk",
            5,
            "the disk is full\n  where:    out.csv\n  do:       make room, then run the same command again\n",
        ),
        (
            "rights",
            5,
            """\
a file or folder cannot be used
  got:      Permission denied
  where:    out.csv
  do:       look at the path and its rights
""",
        ),
        (
            "memory",
            5,
            "there is not enough memory\n  do:       ask for less at once, or use a larger machine\n",
        ),
    ],
)
def test_endings(kind: str, code: int, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(breaks, [kind]) == code
    assert capfd.readouterr().err == text


def test_an_error_is_one_json_document(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(breaks, ["disk", "--json"]) == 5
    out, err = capfd.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "error": {
            "code": "file",
            "exit": 5,
            "problems": [
                {
                    "what": "the disk is full",
                    "where": "out.csv",
                    "do": "make room, then run the same command again",
                }
            ],
        }
    }


@pytest.mark.parametrize("write", ["click.echo", "Screen(as_json=False).say"])
def test_who_reads_no_further_is_no_error(tmp_path: Path, write: str) -> None:
    many = f"""if True:
        import click, sys
        from headwater.apps.cli.failures import run
        from headwater.apps.cli.screen import Screen
        call = lambda: [{write}("line") for _ in range(50_000)]
        sys.exit(run(click.Command("many", callback=call), []))
    """
    with subprocess.Popen(
        [sys.executable, "-c", many], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as reader:
        assert reader.stdout is not None
        assert reader.stderr is not None
        reader.stdout.readline()
        reader.stdout.close()
        assert reader.stderr.read() == b""
        assert reader.wait() == 0
