"""Decisions made together are those made alone, to the bit; and one's fault is nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import DataError
from headwater.models.forest.scorer import ForestScorer
from headwater.serving.making import Making, Pair, Wanted
from headwater.serving.service import Service
from tests.http.house import open_service
from tests.serving.bank import micros, scoring


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with open_service(tmp_path_factory.mktemp("bank")) as service:
        yield service


@pytest.fixture
def faults() -> list[tuple[str, BaseException]]:
    return []


@pytest.fixture
def make(bank: Service, faults: list[tuple[str, BaseException]]) -> Making:
    return Making(lambda: bank.serving, bank.now, lambda *fault: faults.append(fault))


def facts(made: Pair | Exception) -> Any:
    if isinstance(made, Exception):
        return type(made), str(made)
    scored, decision = made
    return decision.canonical(), scored.x.tobytes(), scored.score.hex(), scored.time, scored.offset


wanted = st.builds(
    Wanted,
    st.just("lend"),
    st.builds(lambda who: {"who": who}, st.integers(-1, 25) | st.just("no")),  # some unknown, some no key
    st.just({}),
    st.none() | st.integers(micros(99.9), micros(101)),
)


@settings(deadline=None)
@given(several=st.lists(wanted, min_size=2, max_size=9))
def test_together_is_as_alone(bank: Service, several: list[Wanted]) -> None:
    make = Making(lambda: bank.serving, bank.now, lambda *_fault: None)
    together = make(several)
    assert [facts(one) for one in together] == [facts(make([one])[0]) for one in several]


def test_they_share_one_call_of_the_kernel(make: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []
    contributions = ForestScorer.contributions

    def counted(self: ForestScorer, X: Any) -> Any:
        called.append(len(X))
        return contributions(self, X)

    monkeypatch.setattr(ForestScorer, "contributions", counted)
    several = [Wanted("lend", {"who": who}, {}) for who in range(5)]
    assert not any(isinstance(one, Exception) for one in make(several))
    assert called == [5]
    make([*several[:2], Wanted("lend", {"who": "no"}, {})])  # one fails: each alone
    assert called == [5, 1, 1]


def test_ones_fault_is_nobody_elses(make: Making, faults: list[tuple[str, BaseException]]) -> None:
    fine, odd = Wanted("lend", {"who": 1}, {}), Wanted("lend", {"who": "no"}, {})
    first, second, third = make([fine, odd, fine])
    assert facts(first) == facts(third) == facts(make([fine])[0])
    assert isinstance(second, DataError)
    assert faults == []


def test_a_model_that_raises_is_told_to_each(bank: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(ForestScorer, "score", refuse)
    monkeypatch.setattr(ForestScorer, "score_one", refuse)
    make = Making(lambda: bank.serving, bank.now, lambda *_fault: None)
    made = make([Wanted("lend", {"who": who}, {}) for who in range(3)])
    assert [type(one) for one in made] == [ValueError] * 3


def test_a_library_decides_one_by_one(bank: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its batches need not have the bits of its rows."""
    asked: list[int] = []
    monkeypatch.setattr(ForestScorer, "kind", "library")
    score = ForestScorer.score_one

    def counted(self: ForestScorer, x: Any) -> float:
        asked.append(1)
        return score(self, x)

    monkeypatch.setattr(ForestScorer, "score_one", counted)
    make = Making(lambda: bank.serving, bank.now, lambda *_fault: None)
    assert len(make([Wanted("lend", {"who": who}, {}) for who in range(3)])) == len(asked) == 3


def test_what_is_exchanged_meanwhile_is_whole(bank: Service) -> None:
    """One turn is decided by one state of what is served."""
    given: list[str] = []
    other = replace(bank.serving, scorings={"risk": scoring(seed=1)})

    def serving() -> Any:
        given.append("asked")
        return bank.serving if len(given) == 1 else other

    make = Making(serving, bank.now, lambda *_fault: None)
    made = make([Wanted("lend", {"who": who}, {}) for who in range(4)])
    digests = {one[1].model_digest for one in made if not isinstance(one, Exception)}
    assert (len(given), digests) == (1, {scoring().digest})
