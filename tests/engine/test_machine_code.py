"""Machine code is kept by the kernels' sources, and making it anew is announced."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.engine.kernels import machine_code


def test_compiling_is_announced_once_and_older_code_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "__pycache__"
    old, new = beside / "kernels-0123456789abcdef", beside / "kernels-fedcba9876543210"
    old.mkdir(parents=True)
    monkeypatch.setattr(machine_code, "_HERE", tmp_path)
    monkeypatch.setattr(machine_code, "FOLDER", new)
    monkeypatch.setattr(machine_code.SETTINGS, "DISABLE_JIT", 0)
    with caplog.at_level(logging.WARNING, logger="headwater"):
        machine_code.announce()
        new.mkdir()
        machine_code.announce()
    assert [record.message for record in caplog.records] == [
        "Headwater compiles its kernels for this machine: half a minute to three, once per installation."
    ]
    assert not old.exists()


def test_a_folder_that_others_share_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "kernels-0123456789abcdef"
    old.mkdir()
    monkeypatch.setattr(machine_code, "FOLDER", tmp_path / "kernels-fedcba9876543210")
    monkeypatch.setattr(machine_code.SETTINGS, "DISABLE_JIT", 0)
    machine_code.announce()
    assert old.exists()


def test_the_folder_is_named_after_the_sources() -> None:
    assert machine_code.FOLDER.name.startswith("kernels-")
    assert len(machine_code.FOLDER.name) == len("kernels-") + 16


_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from headwater.engine.kernels import exact

barrier = Barrier(8)


def call(_number):
    barrier.wait()
    return exact.two_sum(1.0, 2.0)


with ThreadPoolExecutor(8) as pool:
    assert set(pool.map(call, range(8))) == {(3.0, 0.0)}
assert len(getattr(exact.two_sum, "signatures", [0])) == 1
"""


def test_threads_may_call_an_inner_kernel_for_the_first_time_at_once() -> None:
    """None finds that another has just compiled it and that no more may be compiled."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _AT_ONCE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


_KERNEL = """
from numba import types
from headwater.engine.kernels.machine_code import kept

@kept((types.int64,), nogil=True)
def double(x):
    return 2 * x
"""
_COUNTED = """
from llvmlite import binding

parse, sizes = binding.parse_bitcode, []


def parsed(code, *more):
    module = parse(code, *more)
    sizes.append(sum(len(list(block.instructions)) for one in module.functions for block in one.blocks))
    return module


def large():
    return sum(size > 5 for size in sizes)  # of a module of entries, each has but its return


binding.parse_bitcode = parsed
"""
_CALLER = """
from numba import types
from callee import double
from headwater.engine.kernels.machine_code import kept

@kept((types.int64,), nogil=True)
def fourfold(x):
    return double(double(x))

print(fourfold(3), sum(double.stats.cache_hits.values()))
"""


def test_what_callers_are_compiled_with_is_parsed_only_then(tmp_path: Path) -> None:
    (tmp_path / "callee.py").write_text(_KERNEL)
    (tmp_path / "caller.py").write_text(_CALLER)
    (tmp_path / "counted.py").write_text(_COUNTED)

    def run(code: str) -> str:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        command = [sys.executable, "-W", "ignore", "-c", code]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout

    alone = "from callee import double; print(double(3), sum(double.stats.cache_hits.values()))"
    assert run(alone) == "6 0\n"
    assert run(alone) == "6 1\n"
    assert run(f"import counted; {alone}; print(counted.large())") == "6 1\n0\n"
    assert run("import counted, caller; print(counted.large())") == "12 1\n1\n"  # compiled: the callee's
    assert run("import counted, caller; print(counted.large())") == "12 1\n0\n"
