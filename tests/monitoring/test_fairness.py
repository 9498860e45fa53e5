"""Decisions by group: rates beside fairlearn's own functions, intervals, and groups that are too small."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import DataError
from headwater.monitoring.fairness import Fairness, _Table, audit
from tests.letters import says

fairlearn = pytest.importorskip("fairlearn.metrics")


def people(rows: int = 4_000, harsh: float = 0.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Two groups and a tiny third; group b is refused ``harsh`` more often than its risk says."""
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(rows) < 0.5, "a", "b").astype(object)
    group[:12] = "c"
    risk = rng.beta(1.0, 5.0, rows)
    outcome = (rng.random(rows) < risk).astype(float)
    outcome[rng.random(rows) < 0.2] = np.nan  # not mature
    selected = (risk < 0.3) & ~((group == "b") & (rng.random(rows) < harsh))
    return {
        "groups": group,
        "selected": selected,
        "outcomes": outcome,
        "scores": risk,
        "entities": np.concatenate([np.arange(12), rng.integers(0, rows // 3, rows - 12)]),
    }


def told(**changes: Any) -> Fairness:
    parts: dict[str, Any] = people() | changes
    return audit("sex", **parts, bootstrap=100)


def test_rates_are_fairlearns() -> None:
    given = people(harsh=0.3)
    found = told(**given)
    keep = given["groups"] != "c"
    chosen, group = given["selected"][keep], given["groups"][keep]
    ratio = fairlearn.demographic_parity_ratio(chosen, chosen, sensitive_features=group)
    assert found.impact.value == pytest.approx(ratio)
    mature = keep & ~np.isnan(given["outcomes"])
    deserving = given["outcomes"][mature] == 0
    difference = fairlearn.equal_opportunity_difference(
        deserving, given["selected"][mature], sensitive_features=given["groups"][mature]
    )
    assert found.opportunity_difference.value == pytest.approx(difference)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_resampled_figures_are_computed_as_fairlearns(seed: int) -> None:
    """With weights of one, the arithmetic of the bootstrap gives fairlearn's own rates."""
    given = people(400, 0.2, seed)
    table = _Table.of(**given, favourable=0)  # type: ignore[arg-type]
    figures = table.figures(np.ones(400))
    rate = fairlearn.MetricFrame(
        metrics=fairlearn.selection_rate,
        y_true=given["selected"],
        y_pred=given["selected"],
        sensitive_features=given["groups"].astype(str),
    )
    np.testing.assert_allclose(figures[0], rate.by_group.to_numpy())


def test_equal_treatment_is_quiet_and_unequal_an_alarm() -> None:
    fair, harsh = told(), told(**people(harsh=0.4))
    assert fair.level == "quiet"
    assert harsh.level == "alarm"
    assert harsh.impact.high < 0.8
    assert harsh.words[1].startswith("sex 'b' is selected 0.6")
    assert harsh.words[2] == (
        "Of those who deserve it, 52.4% of sex 'b' are selected and 88.8% of 'a': 36.4 points apart "
        "(32.9 to 39.4); 10 are the bound."
    )


def test_a_bound_that_the_interval_still_touches_is_a_watch() -> None:
    found = told(**people(240, harsh=0.2, seed=3))
    assert found.impact.low < 0.8 < found.impact.high
    assert found.level == "watch"


def test_calibration_by_group() -> None:
    given = people(20_000)
    high = given["scores"].copy()
    high[given["groups"] == "b"] *= 0.5  # the score foretells half of what comes to b
    found = {group.name: group for group in told(**given | {"scores": high}).groups}
    assert found["a"].gap.low < 0 < found["a"].gap.high
    assert found["b"].gap.low > 0.05
    assert found["b"].foretold == pytest.approx(found["b"].observed.value / 2, rel=0.1)


def test_small_groups_are_said_and_take_no_part() -> None:
    found = told()
    small = next(group for group in found.groups if group.name == "c")
    assert small.too_few == "12 entities; 30 are needed"
    assert found.words == ("sex 'c' is not compared: 12 entities; 30 are needed.",)
    alone = told(groups=np.full(4_000, None, object))
    assert (alone.level, alone.groups[0].name) == ("too few", "unknown")
    assert alone.words == ("Fewer than two groups of sex are large enough.",)


def test_recurring_people_widen_the_interval() -> None:
    given = people(harsh=0.3)
    strangers = told(**given | {"entities": np.arange(4_000)})
    few = told(**{name: np.repeat(part[:400], 10) for name, part in given.items()})
    assert np.ptp([few.impact.low, few.impact.high]) > np.ptp([strangers.impact.low, strangers.impact.high])


def test_without_mature_outcomes_selection_is_told_alone() -> None:
    found = told(outcomes=np.full(4_000, np.nan))
    assert np.isfinite(found.impact.value)
    assert np.isnan(found.opportunity_difference.value)
    json.dumps(found.to_json(), allow_nan=False)


def test_no_rows_are_refused() -> None:
    with says(
        DataError,
        """
        decisions cannot be compared by group
          expected: a group, a decision, an outcome, a score and an entity for each of some rows
          got:      0, 0, 0, 0, 0
          do:       join them first
        """,
    ):
        audit("sex", [], [], [], [], [])
