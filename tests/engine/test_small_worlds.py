"""Every small world there is: all logs of four events at four moments, in every order of arrival.

What random search may miss is here by exhaustion. A world is a key of its own, so that all 256 run in one
log; times are microseconds, windows 1, 2 us and forever, delays 0, 1 and 2 us. A failure names the world
by the moments of its events in the order of their arrival: ``(1, 0, 2, 2)``.
"""

from __future__ import annotations

from itertools import product

import pytest

import headwater as hw
from tests.engine.cases import Ask, Case, Event, Row, payments, view
from tests.engine.hosts import ANY_CUTS, ASOF, ONE_BATCH, ORACLE, RESTARTS, Host, agrees
from tests.oracle.naive import Truth

MOMENTS = 4
WORLDS = list(product(range(MOMENTS), repeat=4))
AMOUNTS = [3.0, 1.0, None, 2.0]
Truths = list[dict[str, Truth]]


def features(delay: int) -> dict[str, hw.Aggregate]:
    """Every aggregation over every window, with that delay."""
    over = [1, 2, None]
    made = {
        "n": hw.count(over=over, delay=delay),
        "sum": hw.sum("amount", over=over, delay=delay),
        "mean": hw.mean("amount", over=over, delay=delay),
        "var": hw.var("amount", over=over, delay=delay),
        "trend": hw.trend("amount", over=over, delay=delay),
        "min": hw.min("amount", over=over, delay=delay),
        "max": hw.max("amount", over=over, delay=delay),
        "first": hw.first("amount", over=over, delay=delay),
        "last": hw.last("amount", over=over, delay=delay),
        "since_first": hw.since_first(over=over, delay=delay),
        "since_last": hw.since_last(over=over, delay=delay),
        "distinct": hw.distinct("pieces", over=over, delay=delay),
        "median": hw.quantile("amount", q=0.5, over=over, delay=delay),
        "faded": hw.decayed_sum("amount", half_life=1, over=over, delay=delay),
    }
    return {f"{name}_{delay}": feature for name, feature in made.items()}


@pytest.fixture(scope="module")
def case() -> Case:
    """The worlds side by side: first each one's first event, then each one's second, ..."""
    events = [
        Event(payments, moments[i], MOMENTS, {"shop": world, "amount": AMOUNTS[i], "pieces": i % 2})
        for i in range(4)
        for world, moments in enumerate(WORLDS)
    ]
    asks = [Ask(t, {"shop": world}) for t in (4, 5, 6) for world in range(len(WORLDS))]
    return Case([view(features(delay), name=f"by_{delay}", key="shop") for delay in (0, 1, 2)], events, asks)


@pytest.fixture(scope="module")
def true_emissions(case: Case) -> Truths:
    return ORACLE.true_emissions(case)


@pytest.fixture(scope="module")
def true_answers(case: Case) -> Truths:
    return ORACLE.true_answers(case)


def first_of_each(true: Truths, found: list[Row]) -> dict[str, str]:
    """For each feature that is wrong anywhere, the first world in which it is."""
    wrong: dict[str, str] = {}
    for row, (wants, got) in enumerate(zip(true, found, strict=True)):
        for name, want in wants.items():
            if name not in wrong and not agrees(want, got[name]):
                step, world = divmod(row, len(WORLDS))
                wrong[name] = f"{WORLDS[world]}, row {step}: {got[name]} instead of {want.value}"
    return wrong


@pytest.mark.parametrize("engine", [ONE_BATCH, ANY_CUTS, RESTARTS], ids=lambda host: host.label)
def test_every_refresh_in_every_small_world(case: Case, true_emissions: Truths, engine: Host) -> None:
    assert first_of_each(true_emissions, engine.emissions(case)) == {}


@pytest.mark.parametrize("engine", [ONE_BATCH, RESTARTS, ASOF], ids=lambda host: host.label)
def test_every_reading_of_every_small_world(case: Case, true_answers: Truths, engine: Host) -> None:
    assert first_of_each(true_answers, engine.answers(case)) == {}
