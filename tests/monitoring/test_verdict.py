"""Distances and verdicts, beside scipy and the textbook."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from scipy.stats import false_discovery_control, norm

from headwater.core.instant import DAY, WEEK
from headwater.monitoring.distance import expected_psi, jensen_shannon, psi
from headwater.monitoring.verdict import Finding, Rule, benjamini_hochberg, judge, worst

COUNTS = arrays.arrays(np.float64, 6, elements=st.floats(0.01, 1))


@given(COUNTS, COUNTS)
def test_jensen_shannon_is_scipys(a: np.ndarray, b: np.ndarray) -> None:
    a, b = a / a.sum(), b / b.sum()
    middle = (a + b) / 2
    divergence = (rel_entr(a, middle) + rel_entr(b, middle)).sum() / 2 / np.log(2)
    assert jensen_shannon(a, b) ** 2 == pytest.approx(divergence, abs=1e-12)


def test_jensen_shannon_is_a_distance_to_base_2() -> None:
    a, b = np.array([0.1, 0.4, 0.5]), np.array([0.3, 0.3, 0.4])
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(a, b, base=2))


@given(COUNTS, COUNTS)
def test_psi_is_symmetric_and_never_negative(a: np.ndarray, b: np.ndarray) -> None:
    a, b = a / a.sum(), b / b.sum()
    assert psi(a, b) == pytest.approx(psi(b, a))
    assert psi(a, b) >= -1e-12
    assert psi(a, a) == 0.0


def test_psi_of_the_textbook() -> None:
    """Siddiqi's layout, ten score bands: sum of (actual - expected) ln(actual / expected), by hand."""
    usual = np.array([0.06, 0.09, 0.10, 0.13, 0.15, 0.15, 0.12, 0.09, 0.07, 0.04])
    now = np.array([0.07, 0.08, 0.07, 0.09, 0.11, 0.10, 0.11, 0.12, 0.11, 0.14])
    by_hand = sum((a - b) * np.log(a / b) for a, b in zip(now, usual, strict=True))
    assert psi(now, usual) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.2137, abs=5e-5)


def test_psi_of_two_normal_distributions_is_the_squared_distance() -> None:
    edges = np.linspace(-12, 12, 4_001)
    shares = [np.diff(norm.cdf(edges, mean)) for mean in (0.0, 0.5)]
    assert psi(shares[0] + 1e-300, shares[1] + 1e-300) == pytest.approx(0.25, abs=1e-4)


def test_psi_of_nothing_but_chance_is_what_is_expected() -> None:
    rng = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    now, usual = (rng.multinomial(n, shares, 2_000) / n for n in (800, 2_000))
    found = [psi(a, b) for a, b in zip(now, usual, strict=True)]
    assert np.mean(found) == pytest.approx(expected_psi(10, 800, 2_000), rel=0.05)


@given(arrays.arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 1)))
def test_adjusted_p_values_are_scipys(p: np.ndarray) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))


def test_tests_that_are_not_told_count_too() -> None:
    assert benjamini_hochberg(np.array([0.01]), tests=10).tolist() == [0.1]


def test_alpha_shrinks_with_the_number_of_looks() -> None:
    assert Rule(every=30 * DAY).alpha == pytest.approx(0.01)
    assert Rule(every=WEEK).alpha == pytest.approx(0.01 * 7 / 30)
    assert Rule(every=DAY).alpha == pytest.approx(0.01 / 30)
    assert Rule(every=3_650 * DAY).alpha == 0.05


def test_both_bars_must_be_passed() -> None:
    rule = Rule(every=30 * DAY)  # alpha 0.01, watch 0.1

    def level(effect: float, p: float) -> str:
        return judge([Finding("x", "psi", effect, p, "")], rule)[0].level

    assert level(0.2, 0.005) == "alarm"
    assert level(0.2, 0.05) == "watch"  # not sure enough
    assert level(0.06, 1e-9) == "watch"  # sure, but small
    assert level(0.01, 1e-9) == "quiet"  # proved, and of no matter
    assert level(0.9, 0.5) == "quiet"
    assert worst([]) == "too few"
    assert worst(["quiet", "alarm", "watch"]) == "alarm"
