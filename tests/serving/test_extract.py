"""An extract of the log gives what the log gives, whatever was asked of it before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headwater as hw
from headwater.log.embedded import EmbeddedLog
from headwater.serving.extract import Extract
from headwater.serving.rederive import Asked, features, rederive
from tests.serving.bank import PAYMENTS, RISK, log, micros, payment, scoring


class Counted(EmbeddedLog):
    """Counts how often it is read from its beginning."""

    whole = 0

    def scan(self, *args: Any, **kw: Any) -> Any:
        self.whole += kw.get("start") == 0
        return super().scan(*args, **kw)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with log(tmp_path) as made:
        yield made


def ask(who: int, day: float, offset: int) -> Asked:
    return Asked({"who": who}, micros(day), offset)


asked = st.lists(st.builds(ask, st.integers(0, 25), st.integers(30, 104), st.integers(0, 700)), min_size=1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(questions=st.lists(asked, min_size=1, max_size=5), room=st.sampled_from([0, 50, 10**6]))
def test_any_questions_in_any_order(bank: EmbeddedLog, questions: list[list[Asked]], room: int) -> None:
    extract = Extract(bank, room)
    for question in questions:
        whole, held = rederive(scoring(), question, bank), rederive(scoring(), question, extract)
        assert np.array_equal(whole.view(np.int64), held.view(np.int64))


def test_it_follows_the_log(bank: EmbeddedLog) -> None:
    extract = Extract(bank)
    for i, day in enumerate((101.0, 60.0, 102.0)):
        end = int(bank.append("payments", payment(100_000 + i, 3, day), arrival=micros(110 + i)).offset[0])
        extract.follow(end + 1)
        question = [ask(3, 103, end - 1), ask(3, 103, end), ask(4, 103, end)]
        assert features(RISK.features, question, extract).frame.equals(
            features(RISK.features, question, bank).frame
        )


def test_an_entity_is_read_once(bank: EmbeddedLog) -> None:
    with Counted.open(bank.path, [PAYMENTS], writer=False) as reading:
        extract = Extract(reading)
        view = [hw.FeatureView("v", PAYMENTS, "who", {"n": hw.count()})]
        for _ in range(3):
            features(view, [ask(1, 100, 600), ask(2, 90, 500)], extract)
        assert reading.whole == 1
        features(view, [ask(1, 100, 600), ask(5, 90, 500)], extract)
        assert reading.whole == 2


#        held from ├────────────── day 93 ──► 101       a question of day 60 reaches farther back: read anew
def test_windows_bound_what_is_read(bank: EmbeddedLog) -> None:
    view = [
        hw.FeatureView("v", PAYMENTS, "who", {"n": hw.count(over="7d"), "s": hw.sum("amount", over="2d")})
    ]
    extract = Extract(bank)
    few = [ask(who, 100, 700) for who in range(20)]
    assert features(view, few, extract).frame.equals(features(view, few, bank).frame)
    held = extract.held
    earlier = [ask(who, 60, 700) for who in range(20)]
    assert features(view, earlier, extract).frame.equals(features(view, earlier, bank).frame)
    assert 0 < held < extract.held / 3
