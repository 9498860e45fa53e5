"""Parity: what was served is what the log gives, to the bit, or an alarm with its cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headwater.log.embedded import EmbeddedLog
from headwater.monitoring.parity import ParitySampler
from headwater.serving.live import Scored
from tests.serving.bank import live, log, micros, payment, scoring


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with log(tmp_path) as made:
        yield made


def served(bank: EmbeddedLog, count: int = 12) -> list[Scored]:
    """Refreshes and readings, late events among them."""
    made = live(bank)
    found = []
    for i in range(count // 2):
        day = 101 + (i if i % 3 else -5)
        (refresh,) = made.append(
            "payments", payment(100_000 + i, i % 3, day, 9.0 * i), arrival=micros(120 + i)
        )[1]
        found += [refresh.scored, made.score("risk", {"who": 5}, micros(101 + i))]
    return found


def test_everything_served_is_what_the_log_gives(bank: EmbeddedLog) -> None:
    sampler = ParitySampler(bank, [scoring()], rate=1.0)
    assert all(map(sampler.observe, served(bank)))
    report = sampler.check()
    assert (report.compared, report.mismatches, report.waiting, report.causes) == (12, 0, 0, ())
    assert sampler.check().compared == 0
    assert sampler.check().total_compared == 12


def test_a_share_is_taken(bank: EmbeddedLog) -> None:
    sampler, given = ParitySampler(bank, [scoring()], rate=0.25), served(bank)
    assert sum(map(sampler.observe, given)) == 3
    assert sampler.check().compared == 3
    assert not any(map(ParitySampler(bank, [scoring()], rate=0.0).observe, given))


def test_what_finds_no_room_is_counted(bank: EmbeddedLog) -> None:
    sampler = ParitySampler(bank, [scoring()], rate=1.0, room=5)
    taken = [sampler.observe(one) for one in served(bank)]
    assert taken == [True] * 5 + [False] * 7
    report = sampler.check(limit=2)
    assert (report.compared, report.waiting, report.dropped) == (2, 3, 7)
    assert sampler.check().total_compared == 5


def test_one_bit_is_an_alarm_with_its_cause(bank: EmbeddedLog) -> None:
    one = served(bank, 2)[0]
    x = one.x.copy()
    x[2] = np.nextafter(x[2], np.inf)
    x[0] += 1
    sampler = ParitySampler(bank, [scoring()], rate=1.0)
    sampler.observe(replace(one, x=x))
    sampler.observe(one)
    report = sampler.check()
    assert (report.compared, report.mismatches, report.total_mismatches) == (2, 1, 1)
    (cause,) = report.causes
    assert sampler.kept == (cause,)
    assert (cause.feature, cause.features) == ("n_7d", ("n_7d", "spent_7d"))
    assert (cause.served, cause.derived, cause.offset) == (x[0], one.x[0], one.offset)
    assert cause.words() == (
        f"risk at log offset {one.offset}: n_7d was served as {x[0]!r} ({hex_of(x[0])}),"
        f" the log gives {float(one.x[0])!r} ({hex_of(one.x[0])}), and 1 more."
    ).replace("np.float64(", "").replace(") (", " (")


def hex_of(value: float) -> str:
    return f"{np.float64(value).view(np.uint64):016x}"


def test_a_score_that_its_vector_does_not_give(bank: EmbeddedLog) -> None:
    one = served(bank, 2)[0]
    sampler = ParitySampler(bank, [scoring()], rate=1.0)
    sampler.observe(replace(one, score=one.score + 2**-50))
    (cause,) = sampler.check().causes
    assert (cause.feature, cause.features, cause.derived) == ("score", ("score",), one.score)


def test_null_is_a_value(bank: EmbeddedLog) -> None:
    made = live(bank)
    blank = made.score("risk", {"who": 12_345}, micros(101))
    x = blank.x.copy()
    place = int(np.flatnonzero(np.isnan(x))[0])
    x[place] = 0.0
    sampler = ParitySampler(bank, [scoring()], rate=1.0)
    sampler.observe(blank)
    sampler.observe(replace(blank, x=x))
    (cause,) = sampler.check().causes
    assert (cause.served, cause.derived) == (0.0, None)


def test_a_model_that_was_exchanged_meanwhile(bank: EmbeddedLog) -> None:
    sampler = ParitySampler(bank, [scoring()], rate=1.0)
    before = served(bank, 2)[0]
    sampler.observe(before)
    sampler.serve([scoring(seed=1)])
    after = replace(before, score=scoring(seed=1).score(before.x))
    sampler.observe(after)
    sampler.observe(before, scoring())
    assert sampler.check().mismatches == 0
    sampler.observe(replace(before, model="unknown"))
    assert sampler.check().dropped == 1
