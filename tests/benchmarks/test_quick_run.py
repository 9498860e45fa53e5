"""``python -m benchmarks --quick``: all of it works, on small sizes; no figure is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.page import fill
from tests.hurry import hurried

MEASURES = ["windows", "training_set", "flatness", "memory", "score_row", "log_append"]
LIVE = ["decisions", "freshness", "ready", "soak", "retrain"]


@pytest.mark.slow
def test_a_quick_run_measures_everything_and_contenders_agree(tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        *MEASURES,
        "--quick",
        "--json",
        str(target),
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(target.read_text(encoding="utf-8"))
    assert list(results["measures"]) == MEASURES
    for name in ("windows", "training_set"):
        measured = results["measures"][name]
        assert measured["disagreement"] == []
        ran = {entry["name"] for entry in measured["contenders"] if entry["samples"]}
        left = {entry["name"]: entry["skipped"] for entry in measured["contenders"] if not entry["samples"]}
        assert {name.split()[0].rstrip(",") for name in ran} >= {"headwater", "polars"}
        assert set(left.values()) == {"not in a quick run"}
    page = fill("words\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nmore", results)
    assert page.startswith("words\n")
    assert page.endswith("\nmore")
    assert "\nold\n" not in page
    assert "### 1. Eighteen windowed features after each event" in page


@pytest.mark.slow
def test_a_quick_run_of_what_is_served(tmp_path: Path) -> None:
    """A server is started, put under load, killed and started again: half a minute, most of it starts."""
    target = tmp_path / "results.json"
    sizes = {
        "live.events": 6_000,
        "live.keys": 200,
        "ready.events": 6_000,
        "ready.keys": 300,
        "soak.seconds": 2,
        "retrain.events": 6_000,
        "retrain.keys": 200,
    }
    command = [sys.executable, "-m", "benchmarks", *LIVE, "--quick", "--json", str(target)]
    command += ["--folder", str(tmp_path), *(f"--size={name}={size}" for name, size in sizes.items())]
    with hurried():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(target.read_text(encoding="utf-8"))
    assert results["failed"] == []
    measures = results["measures"]
    assert list(measures) == LIVE
    ours, *others = measures["decisions"]["contenders"]
    assert (ours["samples"][0]["figures"]["features"], ours["samples"][0]["figures"]["reasons"]) == (40, 4)
    assert [entry["skipped"] for entry in others] == ["not in a quick run"] * 2
    assert measures["freshness"]["contenders"][0]["samples"][0]["figures"]["singles"]["errors"] == 0
    assert measures["ready"]["figures"]["bytes"]["snapshots"] > 0
    assert len(measures["ready"]["figures"]["ready_s"]) == 1
    soaked = measures["soak"]["figures"]
    assert soaked["steady"]["errors"] == 0
    assert soaked["counters"]["headwater_parity_compared_total"] > 0
    assert soaked["counters"]["headwater_parity_mismatches_total"] == 0
    assert all(third > 0 for third in soaked["thirds"])
    trained = measures["retrain"]["figures"]
    assert trained["trained"]["verdict"] in ("promote", "hold")
    assert 0 < trained["trained"]["retrain"] < trained["trained"]["seconds"]
    assert trained["quiet"]["errors"] == trained["during"]["errors"] == 0


def test_a_size_that_nobody_knows_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--size", "soak.days=1"])
    told = capfd.readouterr().err.splitlines()[-1]
    assert told.startswith(
        "python -m benchmarks: error: argument --size: no size 'soak.days': one of live.events, "
    )


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no") as caught:
        fill("words", {})
    assert str(caught.value) == "the page has no <!-- figures: begin --> ... <!-- figures: end -->"
