"""The canary's hash: a side for life, a larger share only adds, and the share is what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import DataError, ModelError
from headwater.models.canary import TAG, Canary, canary_of, checked, lapsed
from headwater.models.version import Version
from tests.letters import says

CANARY = Canary("risk", 2, "d2", "d1", 0.05, 1_767_225_600_000_000)
KEYS = st.dictionaries(st.sampled_from(["who", "shop"]), st.integers() | st.text(), min_size=1)
SHARES = st.floats(0, 1, exclude_min=True)


def version(number: int, *aliases: str, note: str | None = None) -> Version:
    tags = {} if note is None else {TAG: note}
    return Version("risk", number, aliases, f"d{number}", "h", "run", "file:", tags)


@given(KEYS, SHARES, SHARES)
def test_a_larger_share_only_adds(keys: dict[str, int | str], one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert CANARY.of(small).takes(keys) <= CANARY.of(large).takes(keys)
    assert CANARY.of(1.0).takes(keys)
    assert CANARY.of(one).takes(keys) == CANARY.of(one).takes(dict(reversed(keys.items())))


def test_the_share_is_what_it_says() -> None:
    """Of 100,000 entities 5 %, within four standard deviations; and the same ones on every machine."""
    taken = [who for who in range(100_000) if CANARY.takes({"who": who})]
    assert abs(len(taken) - 5_000) < 4 * (100_000 * 0.05 * 0.95) ** 0.5
    assert taken[:5] == [24, 97, 117, 138, 162]


def test_another_start_or_model_draws_anew() -> None:
    asked = [{"who": who} for who in range(10_000)]
    ours = {one["who"] for one in asked if CANARY.takes(one)}
    for other in (replace(CANARY, started=CANARY.started + 1), replace(CANARY, model="churn")):
        theirs = {one["who"] for one in asked if other.takes(one)}
        assert len(ours & theirs) < 60  # 25 expected of two independent draws
    assert not CANARY.takes({"who": "0"}) or not CANARY.takes({"who": 0})  # a text is not a number


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan"), float("inf")])
def test_shares_that_are_none(share: float) -> None:
    with says(
        DataError,
        f"""
        no such share of the decisions can go to a challenger
          expected: more than 0 %, and 100 % at most
          got:      {share * 100:.6g} %
          where:    share
          do:       name a share such as 5 %; to give it nothing any more, stop the canary
        """,
    ):
        checked(share)


def test_it_is_in_force_between_these_two_alone() -> None:
    note = CANARY.tag()
    champion, challenger = version(1, "champion"), version(2, "challenger", note=note)
    assert canary_of([challenger, champion]) == CANARY
    assert lapsed([challenger, champion]) == []
    promoted = version(2, "champion", note=note)
    passed = version(2, note=note)
    for found in (
        [promoted, version(1)],
        [version(3, "challenger"), passed, champion],
        [version(3, "champion"), challenger, version(1)],
        [challenger, version(1)],
        [version(2, "champion", "challenger", note=note), version(1)],
    ):
        assert canary_of(found) is None
        assert [one.number for one in lapsed(found)] == [2]


def test_a_note_that_cannot_be_read() -> None:
    versions = [version(2, "challenger", note='{"share": 2}'), version(1, "champion")]
    with says(
        ModelError,
        """
        the note of a canary cannot be read
          expected: JSON with the share, the start and the champion's seal
          got:      {"share": 2}
          where:    risk version 2, tag headwater.canary
          do:       stop the canary: headwater canary --stop
        """,
    ):
        canary_of(versions)
    assert [one.number for one in lapsed(versions)] == [2]
