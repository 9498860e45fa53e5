"""``python -m benchmarks --quick``: all of it works, on small sizes; no figure is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.page import fill

MEASURES = ["windows", "training_set", "flatness", "memory", "score_row", "log_append"]


@pytest.mark.slow
def test_a_quick_run_measures_everything_and_contenders_agree(tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks",
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


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no") as caught:
        fill("words", {})
    assert str(caught.value) == "the page has no <!-- figures: begin --> ... <!-- figures: end -->"
