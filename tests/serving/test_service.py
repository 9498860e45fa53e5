"""The service: what comes together is committed together, and no grouping changes a bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DataError, HeadwaterError, LogError
from headwater.log.protocol import Outcome
from headwater.serving.group import Taken
from headwater.serving.live import Refresh
from headwater.serving.rederive import Asked, rederive
from headwater.serving.replay import replay
from headwater.serving.service import Hooks, Limits, Service
from headwater.serving.vectors import Moment
from headwater.serving.waiting import ClosingError, OverloadedError
from headwater.store.decisions import DecisionStore
from tests.http.house import Faults, open_service
from tests.http.test_events import pay
from tests.letters import says
from tests.serving.bank import CLOCK, PAYMENTS, PERSON, SPENDING, live, log, micros, model, payment, scoring


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Service]:
    with open_service(tmp_path) as service:
        yield service


def put(service: Service, *events: Any, refresh: bool = True, stream: str = "payments") -> Taken:
    return service.submit_rows(stream, list(events), size=100, refresh=refresh).result(20)


def same(a: Refresh, b: Refresh) -> bool:
    """Equal but for the stopwatch."""
    one, two = a.scored, b.scored
    facts = [(s.model, s.keys, s.time, s.offset, s.score.hex(), s.x.tobytes()) for s in (one, two)]
    return facts[0] == facts[1] and (a.late, a.moved) == (b.late, b.moved)


def test_a_refresh_is_that_of_the_live_loop(tmp_path: Path) -> None:
    events = [(1, 3, 100.0), (2, 4, 100.1), (3, 3, 99.0), (4, 3, 100.2)]  # the third comes late
    (tmp_path / "loop").mkdir()
    with log(tmp_path / "loop") as events_log:
        loop = live(events_log)
        expected = [
            loop.append("payments", payment(50_000 + id, who, day), arrival=micros(100.5))[1][0]
            for id, who, day in events
        ]
    with open_service(tmp_path / "service") as service:
        for (id, who, day), refresh in zip(events, expected, strict=True):
            taken = put(service, pay(50_000 + id, who, day))
            assert taken.refreshes is not None
            assert same(taken.refreshes[0], refresh)


def many(count: int, seed: int, *, ordered: bool) -> list[dict[str, Any]]:
    """Payments of all accounts: the last half day in order, or the last two days in any order."""
    random = np.random.default_rng(seed)
    days = np.sort(random.uniform(100.0, 100.5, count)) if ordered else random.uniform(98.5, 100.5, count)
    return [
        pay(60_000 + 1_000 * seed + i, int(who), float(day), amount=float(amount))
        for i, (who, day, amount) in enumerate(
            zip(random.integers(0, 25, count), days, random.gamma(3, 20, count), strict=True)
        )
    ]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("count", [20, 60, 400])
def test_one_by_one_and_all_at_once_give_the_same_bits(tmp_path: Path, count: int, ordered: bool) -> None:
    """Whatever the size and however many are late: scores, and what the late ones moved."""
    events = many(count, 1, ordered=ordered)
    late: dict[int, list[Refresh]] = {}
    with open_service(tmp_path / "single") as service:
        last: dict[int, Refresh] = {}
        for event in events:
            (refresh,) = list(put(service, event).refreshes or ())
            who = refresh.scored.keys["who"]
            last[who] = refresh
            late.setdefault(who, []).append(refresh)
    with open_service(tmp_path / "batch") as service:
        found = put(service, *events).refreshes or ()
    assert len(found) == len(last)
    for refresh in found:
        who = refresh.scored.keys["who"]
        one = last[who].scored
        assert (one.time, one.offset) == (refresh.scored.time, refresh.scored.offset)
        assert one.x.tobytes() == refresh.scored.x.tobytes()
        assert one.score.hex() == refresh.scored.score.hex()
        assert refresh.late == max(each.late for each in late[who])
        assert set(refresh.moved) == {name for each in late[who] for name in each.moved}
    assert any(refresh.late for refresh in found) is not ordered


def test_late_events_of_a_batch_say_what_each_moved(tmp_path: Path) -> None:
    """::

    batch:  who 3 at 100.0   who 4 at 100.0   who 3 at 97.0 (late)   who 9 at 100.0 ... more
    """
    rows = [pay(1, 3, 100.0), pay(2, 4, 100.0), pay(3, 3, 97.0, amount=900.0)]
    rows += [pay(10 + who, who, 100.0) for who in range(9, 20)]
    events = [{**row, "id": row["id"] + 70_000} for row in rows]
    with open_service(tmp_path / "batch") as service:
        batch = {one.scored.keys["who"]: one for one in put(service, *events).refreshes or ()}
    with open_service(tmp_path / "single") as service:
        late = [one for event in events for one in put(service, event).refreshes or ()][2]
    assert (batch[3].late, batch[3].moved) == (late.late, late.moved) == (3 * 86_400_000_000, late.moved)
    assert late.moved
    assert all(one.late == 0 for who, one in batch.items() if who != 3)


def test_what_came_together_is_committed_together(tmp_path: Path) -> None:
    turns: list[Any] = []
    hold = Event()

    class Slow(Hooks):
        def on_turn(self, turn: Any) -> None:
            turns.append(turn)
            hold.wait(10)

    with open_service(tmp_path, hooks=Slow()) as service:
        first = service.submit_rows("payments", [pay(80_000)], size=1)
        first.result(10)
        rest = [service.submit_rows("payments", [pay(80_001 + i, i)], size=1) for i in range(20)]
        person = {"who": 3, "time": "2026-04-11T00:00:00Z", "income": 10.0, "job": "smith"}
        rest.append(service.submit_rows("profiles", [person], size=1))
        hold.set()
        offsets = [int(one.result(10).offset[0]) for one in rest]
    assert sorted(offsets) == offsets == list(range(offsets[0], offsets[0] + 21))
    assert [(turn.events, turn.offers) for turn in turns] == [(1, 1), (21, 21)]


def test_a_full_queue_takes_nothing_more(tmp_path: Path) -> None:
    hold = Event()

    class Slow(Hooks):
        def on_turn(self, turn: Any) -> None:  # noqa: ARG002
            hold.wait(10)

    with open_service(tmp_path, hooks=Slow(), limits=Limits(queue_events=3)) as service:
        service.submit_rows("payments", [pay(81_000)], size=1).result(10)
        waiting = [service.submit_rows("payments", [pay(81_001 + i)], size=10) for i in range(3)]
        with says(
            OverloadedError,
            """
            too many events are waiting
              expected: at most 3 and 67,108,864 bytes waiting
              got:      3 and 30 bytes
              do:       send it again in 1 s
            """,
        ):
            service.submit_rows("payments", [pay(81_009)], size=10)
        hold.set()
        assert [one.result(10).count(Outcome.NEW) for one in waiting] == [1, 1, 1]
        assert put(service, pay(81_009)).count(Outcome.NEW) == 1


def test_closing_finishes_what_was_taken(tmp_path: Path) -> None:
    service = open_service(tmp_path)
    end = service.log.end()
    taken = [service.submit_rows("payments", [pay(82_000 + i)], size=1) for i in range(50)]
    asked = [service.ask("lend", {"who": i}) for i in range(10)]
    service.close()
    assert sum(one.result(0).count(Outcome.NEW) for one in taken) == 50
    assert len({one.result(0).number for one in asked}) == 10
    with pytest.raises(ClosingError):
        service.submit_rows("payments", [pay(83_000)], size=1)
    with open_service(tmp_path) as again:
        assert again.log.end() == end + 50 == again.offset + 1
    with DecisionStore.open(tmp_path / "decisions.db") as store:
        assert store.verify() == 10


def test_rising_from_a_snapshot_and_the_tail_is_as_if_nothing_happened(tmp_path: Path) -> None:
    events = many(90, 2, ordered=False)
    first, second, third = events[:30], events[30:60], events[60:]
    with open_service(tmp_path / "straight") as service:
        put(service, *first, *second)
        expected = {one.scored.keys["who"]: one for one in put(service, *third).refreshes or ()}
    with open_service(tmp_path / "restarted") as service:
        put(service, *first)
        assert service.snapshot()
        assert not service.snapshot()
        put(service, *second)
        service.close(snapshot=False)
    with open_service(tmp_path / "restarted") as service:
        assert service.passed_over == ()
        found = {one.scored.keys["who"]: one for one in put(service, *third).refreshes or ()}
    assert found.keys() == expected.keys()
    for who, one in expected.items():
        assert found[who].scored.x.tobytes() == one.scored.x.tobytes()


def test_a_damaged_snapshot_is_passed_over(tmp_path: Path) -> None:
    with open_service(tmp_path) as service:
        put(service, *many(30, 3, ordered=True))
    path = max((tmp_path / "snapshots").glob("*.snapshot"))
    blob = bytearray(path.read_bytes())
    blob[-100] ^= 1
    path.write_bytes(blob)
    faults = Faults()
    with open_service(tmp_path, hooks=faults) as service:
        assert service.passed_over == (f"{path.name}: a snapshot is damaged, or of another version",)
        assert service.offset == service.log.end() - 1
    assert [(where, str(error)) for where, error in faults.faults] == [
        (
            "snapshot",
            (
                "a snapshot was passed over\n"
                "  got:      a snapshot is damaged, or of another version\n"
                f"  where:    {path.name}\n"
                "  do:       look at the disk; an older snapshot, or none, and the log give the same state"
            ),
        )
    ]


def test_a_decision_is_replayed_to_the_bit(bank: Service) -> None:
    put(bank, *many(40, 4, ordered=False))
    for who in range(5):
        record = bank.decide("lend", {"who": who})
        assert replay(record.decision, bank.log, bank.serving.policy("lend")).same


def test_what_is_read_while_late_events_come_in_rests_on_what_it_says(bank: Service) -> None:
    """Readers between the waves of a flood: each vector is that of the log as of its own time and offset."""
    made = bank.serving.policy("lend").scoring
    seen: list[tuple[Asked, bytes]] = []
    floods = [
        bank.submit_rows("payments", many(400, seed, ordered=False), size=100, refresh=False)
        for seed in (31, 32, 33)
    ]
    while not all(flood.done() for flood in floods):
        for who in range(25):
            read = bank.serving.vectors.read(made.model, {"who": who}, Moment(bank.now(), exact=False), {})
            seen.append((Asked({"who": who}, read.time, read.offset, {}), made.vector(read.values).tobytes()))
    assert len(seen) > 25
    true = rederive(made, [asked for asked, _ in seen], bank.log)
    wrong = [asked for row, (asked, bits) in zip(true, seen, strict=True) if row.tobytes() != bits]
    assert not wrong, wrong[0]


class Raising:
    """A scorer whose model breaks on one account's income."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer
        self.names, self.space, self.kind, self.why_not_flat = scorer.names, scorer.space, scorer.kind, None

    def score_one(self, x: Any) -> float:
        raise ZeroDivisionError(f"secret {x[0]}")

    score = score_one

    def contributions(self, X: Any) -> Any:
        return self._scorer.contributions(X)


def test_a_model_that_raises_loses_no_event(tmp_path: Path) -> None:
    good = scoring()
    faults = Faults()
    with open_service(tmp_path, hooks=faults) as service:
        bad = type(good)(good.model, good.artifact, "bad", Raising(good.scorer))  # type: ignore[arg-type]
        service.swap({"risk": bad})
        taken = put(service, pay(84_000))
        assert taken.refreshes is not None
        assert (taken.count(Outcome.NEW), len(taken.refreshes)) == (1, 0)
        assert "secret" not in str(taken.failure)
        with pytest.raises(HeadwaterError, match="the model failed to score"):
            service.decide("lend", {"who": 1})
        service.swap({"risk": good})
        assert len(put(service, pay(84_001)).refreshes or ()) == 1
        assert service.decide("lend", {"who": 1}).decision.model_digest == good.digest
    assert [where for where, _ in faults.faults] == ["score", "decide"]


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    with open_service(tmp_path):
        pass
    size = (tmp_path / "events.log").stat().st_size
    faults = Faults()
    with open_service(tmp_path, hooks=faults, max_log_bytes=size + 200_000) as service:
        offset, taken = service.offset, 0
        with pytest.raises(LogError):  # noqa: PT012 - some append of many, whichever it is
            for i in range(1_000):
                rows = [pay(100_000 + 1_000 * i + j, way="card", amount=0.1 * j) for j in range(1_000)]
                taken += put(service, *rows, refresh=False).count(Outcome.NEW)
        assert service.broken is None
        assert service.offset == offset + taken == service.log.end() - 1
    assert {where for where, _ in faults.faults} == {"commit"}


def test_the_feed_tells_those_who_listen(bank: Service) -> None:
    woken = Event()
    listener = bank.feed.subscribe(woken.set, wanted=lambda one: one.scored.keys["who"] == 4, most=2)
    put(bank, pay(85_000, 3), pay(85_001, 4))
    assert woken.wait(5)
    assert [one.scored.keys for one in listener.take().refreshes] == [{"who": 4}]
    for id in range(4):
        put(bank, pay(85_010 + id, 4))
    heard = listener.take()
    while not heard.lost:
        heard = listener.take()
    assert len(heard.refreshes) <= 2
    bank.feed.unsubscribe(listener)
    assert len(bank.feed) == 0


def test_frames_come_in_as_they_are(bank: Service) -> None:
    frame = pl.concat([payment(86_000 + i, i, 100.0) for i in range(3)])
    taken = bank.submit_frame("payments", frame, size=100, refresh=True).result(10)
    assert taken.count(Outcome.NEW) == 3
    assert [one.scored.keys["who"] for one in taken.refreshes or ()] == [0, 1, 2]


def test_changed_definitions_are_built_beside_and_switched(tmp_path: Path) -> None:
    """A view gets another window while events come in: what it says is what a fresh start would say."""
    features = {"n": hw.count(over=["7d", "60d"]), "spent": hw.sum("amount", over="7d")}
    wider = hw.FeatureView("spending", PAYMENTS, "who", features)
    changed = model(features=[wider, PERSON])
    project = hw.Project("bank", models=[changed], policies=[hw.Policy("lend", changed, {"all": 0.0})])
    events = many(60, 6, ordered=False)
    with open_service(tmp_path) as service:
        put(service, *events[:30])
        service.swap({"risk": scoring(changed)}, project)
        assert service.offset == service.log.end() - 1
        found = put(service, *events[30:]).refreshes or ()
        record = service.decide("lend", {"who": 3})
        assert record.decision.band == "all"
        assert "n_60d" in record.decision.features
        assert replay(record.decision, service.log, service.serving.policy("lend")).same
        assert service.snapshot()
    with open_service(tmp_path, project=project, scorings={"risk": scoring(changed)}) as again:
        for one in found:
            read = again.serving.vectors.one(scoring(changed), one.scored.keys, one.scored.time, {})
            assert read.tobytes() == one.scored.x.tobytes()


def test_a_new_stream_comes_in_while_serving(tmp_path: Path) -> None:
    calls = hw.Stream("calls", {"who": pl.Int64, "time": CLOCK})
    talk = hw.FeatureView("talk", calls, "who", {"calls": hw.count(over="7d")})
    changed = model(features=[SPENDING, PERSON, talk])
    project = hw.Project("bank", models=[changed])
    with open_service(tmp_path) as service:
        service.swap({}, project)
        taken = put(service, {"who": 3, "time": "2026-04-11T00:00:00Z"}, stream="calls")
        assert taken.count(Outcome.NEW) == 1
        assert service.features("talk", 3).values == {"calls_7d": 1}
        with pytest.raises(HeadwaterError, match="there is no such policy"):
            service.decide("lend", {"who": 3})


def test_a_stream_that_is_being_filled_stays_as_it_is(bank: Service) -> None:
    other = hw.Stream("payments", {**PAYMENTS.schema, "note": pl.String}, id="id")
    view = hw.FeatureView("v", other, "who", {"n": hw.count()})
    changed = model(features=[view], derived={}, observe=hw.each(other), label=hw.happens(other, within="1d"))
    with says(
        DataError,
        """
        the stream 'payments' is declared otherwise than it is being filled
          expected: the same columns and types; new streams, views, models and policies may come
          where:    payments
          do:       end the service and start it again
        """,
    ):
        bank.swap({}, hw.Project("bank", models=[changed]))
    assert put(bank, pay(87_000)).count(Outcome.NEW) == 1


def test_a_listener_that_raises_holds_nobody_up(tmp_path: Path) -> None:
    """It must not; if it does, who waits is told, and the next events are taken."""

    class Loud(Faults):
        def on_turn(self, turn: Any) -> None:
            if turn.scores:
                raise RuntimeError("loud")

    hooks = Loud()
    with open_service(tmp_path, hooks=hooks) as service:
        answers = [service.submit_rows("payments", [pay(95_000 + i)], size=1, refresh=True) for i in range(9)]
        found = [answer.exception(20) or answer.result() for answer in answers]
        assert all(isinstance(one, RuntimeError) for one in found)
        assert service.broken is None
        assert service.offset == service.log.end() - 1
        assert put(service, pay(95_100), refresh=False).count(Outcome.NEW) == 1
    assert {where for where, _ in hooks.faults} == {"answer"}
