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
        "Headwater compiles its kernels for this machine: about half a minute, once per installation."
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
_CALLER = """
from numba import types
from callee import double
from headwater.engine.kernels.machine_code import kept

@kept((types.int64,), nogil=True)
def fourfold(x):
    return double(double(x))

print(fourfold(3), sum(double.stats.cache_hits.values()))
"""


def test_what_callers_are_compiled_with_is_kept_apart_and_read_only_then(tmp_path: Path) -> None:
    (tmp_path / "callee.py").write_text(_KERNEL)
    (tmp_path / "caller.py").write_text(_CALLER)
    cache = tmp_path / "cache"

    def run(code: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        command = [sys.executable, "-W", "ignore", "-c", code]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    told = "from callee import double; print(double(3), sum(double.stats.cache_hits.values()))"
    assert run(told).stdout == "6 0\n"
    (apart,) = cache.glob("*/*.bc")
    apart.rename(tmp_path / "away")
    assert run(told).stdout == "6 1\n"  # from what is kept, without the other part
    assert f"{apart} is missing: remove its folder" in run("import caller").stderr
    (tmp_path / "away").rename(apart)
    assert run("import caller").stdout == "12 1\n"
    apart.unlink()
    assert run("import caller").stdout == "12 1\n"  # both are kept: nothing is compiled
