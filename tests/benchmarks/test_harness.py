"""Contenders in processes of their own: one that cannot run is skipped with its reason, never in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness import Contender, Setting, once, race
from benchmarks.venvs import ENVIRONMENTS, LOCKS

DATA = Contender("data", "benchmarks.contenders.windows.data", {"events": 100, "keys": 5})
ABSENT = Contender("absent", "benchmarks.contenders.absent")


def quiet(folder: Path) -> Setting:
    return Setting(folder, quick=True, tell=lambda line: None)  # noqa: ARG005


def test_a_sample_tells_time_and_memory(tmp_path: Path) -> None:
    sample = once(quiet(tmp_path), DATA, tmp_path)
    assert sample.figures == {"events": 100}
    assert 0 < sample.wall < 60
    assert 0 < sample.rss_start <= sample.rss_peak


def test_a_contender_that_cannot_run_is_skipped_with_its_reason(tmp_path: Path) -> None:
    ran, skipped = race(quiet(tmp_path), [DATA, ABSENT], tmp_path, answers=False)
    assert len(ran.samples) == 1
    assert skipped.samples == []
    assert skipped.skipped == (
        "ended with 1: ModuleNotFoundError: No module named 'benchmarks.contenders.absent'"
    )


def test_the_first_must_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        race(quiet(tmp_path), [ABSENT, DATA], tmp_path, answers=False)
    assert str(caught.value) == (
        "absent: ended with 1: ModuleNotFoundError: No module named 'benchmarks.contenders.absent'"
    )


def test_a_quick_run_installs_nothing(tmp_path: Path) -> None:
    _, other = race(quiet(tmp_path), [DATA, Contender("far", "far", {}, "feast")], tmp_path, answers=False)
    assert other.skipped == "not in a quick run"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environments_are_pinned_by_hash(name: str) -> None:
    lines = (LOCKS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and line[0] not in "# "]
    assert all("==" in line and line.endswith("\\") for line in pinned)
    for wanted in ENVIRONMENTS[name]:
        assert any(line.startswith(wanted.split("[")[0].split("==")[0] + "==") for line in pinned)
