"""The plan on paper: it follows from the costs, and the page says what the calculation says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.sizing import BEGIN, COSTS, END, Assumed, Load, Part, document, filled, plan

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "sizing.md"
SIMPLE = {
    "event_cpu_us": 100.0,
    "event_log_bytes": 60.0,
    "history_log_bytes": 30.0,
    "lake_event_bytes": 20.0,
    "lake_event_cpu_us": 1.0,
    "state_event_bytes": 40.0,
    "state_key_bytes": 2_000.0,
    "online_event_bytes": 30.0,
    "online_key_bytes": 3_000.0,
    "decision_cpu_us": 1_000.0,
    "decision_record_bytes": 3_000.0,
}


def found(load: Load = Load(), **changes: float) -> dict[str, Part]:  # noqa: B008 - it is frozen
    return {one.what: one for one in plan(SIMPLE | changes, 1_000, load, Assumed())}


def test_the_page_says_what_the_calculation_says() -> None:
    costs = json.loads(COSTS.read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    assert text == filled(text, document(costs, 1_000, Load(), Assumed()))
    assert text.count(BEGIN) == text.count(END) == 1


def test_by_hand() -> None:
    """200 M keys with 900 events of 40 B and 2,000 B each; nodes with 44.8 GiB for it, and a third more."""
    state = 200e6 * (900 * 40 + 2_000)
    nodes = -(-state // (64 * 2**30 * 0.7))
    assert found()["ingest hosts"].count == f"{-(-nodes * 4 // 3):,.0f} nodes"
    assert "memory decides" in found()["ingest hosts"].why
    assert found()["Redis"].why.startswith(f"{200e6 * (900 * 30 + 3_000) * 1.1 / 2**40:,.1f} TiB of states")
    # 200 M decisions a day, ten times that in the busiest minute, 1 ms each, six tenths busy
    assert found()["decide servers"].why == "39 cores"


@pytest.mark.parametrize("cost", ["event_cpu_us", "decision_cpu_us", "state_event_bytes", "lake_event_bytes"])
def test_what_costs_more_takes_more(cost: str) -> None:
    dear = sum(one.dollars for one in found(Load(), **{cost: SIMPLE[cost] * 100}).values())
    assert dear > sum(one.dollars for one in found().values())


def test_shorter_windows_take_less_memory_until_processors_decide() -> None:
    short = found(replace(Load(), days=0.1))["ingest hosts"]
    assert short.dollars < found()["ingest hosts"].dollars
    assert "cores decides" in found(replace(Load(), days=0.0), event_cpu_us=10_000.0)["ingest hosts"].why
