"""Tail probabilities agree with scipy.stats, which computes them by other routes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headwater.models.tails import binomial_none, chi2_tail, f_tail, fisher_tail, humbled, ks_tail, t_tail


@given(st.floats(0.01, 200), st.integers(1, 40), st.integers(1, 500))
def test_f_and_chi2(value: float, above: int, below: int) -> None:
    assert f_tail(value, above, below) == pytest.approx(stats.f.sf(value, above, below), rel=1e-8)
    assert chi2_tail(value, above) == pytest.approx(stats.chi2.sf(value, above), rel=1e-8)


@given(st.floats(-30, 30), st.integers(1, 500))
def test_t_has_two_tails(value: float, degrees: int) -> None:
    assert t_tail(value, degrees) == pytest.approx(2 * stats.t.sf(abs(value), degrees), rel=1e-8)


@given(st.integers(0, 20), st.integers(20, 60), st.integers(0, 20), st.integers(20, 200))
def test_fisher_is_the_exact_test(hits: int, rows: int, usual_hits: int, usual_rows: int) -> None:
    table = [[hits, rows - hits], [usual_hits, usual_rows - usual_hits]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert fisher_tail(hits, rows, usual_hits, usual_rows) == pytest.approx(expected, rel=1e-8)


def test_the_largest_values_lie_in_the_window_as_often_as_fisher_says() -> None:
    rng = np.random.default_rng(3)
    drawn = rng.random((200_000, 30))
    in_window = drawn[:, :6].max(axis=1) > drawn[:, 6:].max(axis=1)  # one of six is the largest of thirty
    assert in_window.mean() == pytest.approx(float(fisher_tail(1, 6, 0, 24)), abs=0.004)


def test_ks_is_close_to_the_exact_distribution_of_one_sample() -> None:
    for rows in (30, 100, 1_000):
        for p in (0.1, 0.01, 0.001):
            distance = stats.kstwo.isf(p, rows)
            assert ks_tail(distance, rows) == pytest.approx(p, rel=0.08)


def test_few_degrees_of_freedom_humble_a_p_value() -> None:
    assert humbled(1e-6, 1e9) == pytest.approx(1e-6, rel=1e-3)
    assert humbled(1e-6, 10) == pytest.approx(2 * stats.t.sf(stats.norm.isf(5e-7), 10))
    assert binomial_none(0.1, 20) == pytest.approx(0.9**20)
