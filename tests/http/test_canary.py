"""A share of live decisions answered by the challenger: who, how it is recorded, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.apps.archive import Exchange
from headwater.client.failures import ApiError
from headwater.models.canary import TAG, Canary
from headwater.serving.backtest import backtest
from headwater.serving.replay import replay
from headwater.serving.served import Trial
from tests.http.house import House, serving
from tests.http.registered import Loop, registered
from tests.http.test_fault_models import raising
from tests.http.test_promotion import damaged
from tests.http.test_shadow import watching
from tests.serving.bank import scoring

SEALS = ("digest of risk 0", "digest of risk 1")


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[House, Loop]]:
    with registered(tmp_path) as made:
        yield made


def sides(house: House) -> dict[int, str]:
    """Who is answered by which version."""
    return {who: house.client.decide({"who": who}).versions.model for who in range(20)}


def test_a_share_goes_to_the_challenger_and_stays_there(both: tuple[House, Loop]) -> None:
    house, loop = both
    first, second = loop.digest(1), loop.digest(2)
    assert house.client.canary("risk").words == "risk has no canary: the champion decides alone."
    made = house.client.start_canary("risk", 0.25, why="one in four")
    assert made.canary is not None
    assert (made.canary.answers, made.canary.digest, made.canary.champion) == (True, second, first)
    canary = Canary("risk", 2, second, first, 0.25, house.clock.now())
    wanted = {who: second if canary.takes({"who": who}) else first for who in range(20)}
    assert set(wanted.values()) == {first, second}
    assert sides(house) == wanted == sides(house)
    house.clock.advance("1d")
    assert house.client.start_canary("risk", 0.75).before == 0.25
    now = sides(house)
    assert all(now[who] == second for who in wanted if wanted[who] == second)  # a larger share only adds
    assert list(now.values()).count(second) > list(wanted.values()).count(second)
    ended = house.client.stop_canary("risk", why="seen enough")
    assert (ended.canary, ended.changed) == (None, True)
    assert set(sides(house).values()) == {first}
    assert [(act.action, act.details["why"]) for act in loop.acts()] == [
        ("model.canary", "one in four"),
        ("model.canary", None),
        ("model.canary_end", "seen enough"),
    ]


def test_what_it_decided_is_made_again_by_the_version_that_decided(both: tuple[House, Loop]) -> None:
    """Replay, backtest, parity and the chain of records: while it runs, and when it is over."""
    house, loop = both
    house.client.start_canary("risk", 0.5)
    made = [house.client.decide({"who": who}) for who in range(20)]
    by = {one.versions.model for one in made}
    assert by == {loop.digest(1), loop.digest(2)}

    def same() -> None:
        past = loop.archive
        assert all(house.client.replay(one.decision_id).same for one in made)
        records = list(house.service.decisions)
        for record in records:
            own = past.own(record.decision)
            assert own is not None
            assert own.scoring.digest == record.decision.model_digest
            assert replay(record.decision, house.service.log, own).same
        champion = past.exchanged("risk", Exchange())
        found = backtest(house.service.decisions, house.service.log, champion, own=past.own)
        others = sum(one.decision.model_digest != champion.scoring.digest for one in records)
        assert (found.compared, found.data) == (20, 0)
        assert found.same >= 20 - others
        assert set(found.causes) <= {"model"}
        assert house.service.decisions.verify() == 20

    same()
    figures = house.monitors.round()
    assert (figures.compared, figures.mismatches, figures.gone) == (20, 0, 0)
    house.client.stop_canary("risk")
    same()


def test_it_stands_beside_the_champion(both: tuple[House, Loop]) -> None:
    house, loop = both
    house.client.decide({"who": 1})  # before it: does not count
    house.clock.advance("1h")
    house.client.start_canary("risk", 0.5)
    given = sides(house)
    shown = house.client.canary("risk")
    champion, canary = shown.sides
    assert (champion.who, canary.who, champion.decisions + canary.decisions) == ("champion", "canary", 20)
    assert canary.decisions == sum(digest == loop.digest(2) for digest in given.values())
    for side in shown.sides:
        assert sum(band.decisions for band in side.bands) == side.decisions
        assert sum(band.share or 0 for band in side.bands) == pytest.approx(1)
    assert shown.words.startswith("risk version 2 answers 50 % of the decisions; since 2026-04-11T13:00:00Z ")
    page = house.http.get("/metrics").text
    counted = [line for line in page.splitlines() if line.startswith("headwater_canary_decisions_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) == canary.decisions
    assert f'headwater_canary_share{{digest="{loop.digest(2)}",model="risk"}} 0.5' in page


def test_the_one_that_did_not_answer_is_asked_in_the_shadow(tmp_path: Path) -> None:
    """Both ways: the challenger on the champion's decisions, the champion on the canary's."""
    challenger = scoring(seed=1)
    with serving(tmp_path) as house, watching(house, challenger, scoring()) as (watch, ledger):
        canary = Canary("risk", 2, challenger.digest, SEALS[0], 0.5, house.clock.now())
        house.service.swap(house.service.serving.scorings, canaries={"risk": Trial(canary, challenger)})
        given = sides(house)
        by_canary = sum(digest == challenger.digest for digest in given.values())
        assert watch.look()["risk"].compared == 20 - by_canary  # counted: the challenger's alone
        pairs = {(one.served, one.challenger): one.decisions for one in ledger.summaries()}
        assert pairs == {SEALS: 20 - by_canary, SEALS[::-1]: by_canary}
        for row in ledger.page():
            assert row.score is not None


def test_where_it_fails_the_champion_answers(tmp_path: Path) -> None:
    """It raises, or gives no number: counted and told, and nobody is sent away."""
    bad, odd = raising(), raising()
    bad.digest = odd.digest = SEALS[1]
    scorer: Any = odd.scorer
    scorer.score_one = lambda _x: float("nan")
    bad.scorer.score_one = bad.scorer.contributions  # type: ignore[method-assign, assignment]
    with serving(tmp_path) as house:
        for challenger in (bad, odd):
            canary = Canary("risk", 2, SEALS[1], SEALS[0], 1.0, house.clock.now())
            house.service.swap(house.service.serving.scorings, canaries={"risk": Trial(canary, challenger)})
            made = house.client.decide({"who": 3})
            assert made.versions.model == SEALS[0]
            assert house.client.replay(made.decision_id).same
        assert [where for where, _ in house.faults.faults] == ["canary", "canary"]
        assert 'headwater_faults_total{where="canary"} 2.0' in house.http.get("/metrics").text
        # what the champion cannot answer either is the request's own fault
        answer = house.http.post("/v1/decisions", json={"keys": {"who": 3}, "at": "2025-01-01T00:00:00Z"})
        assert (answer.status_code, len(house.faults.faults)) == (422, 2)


def test_a_promotion_a_rollback_and_another_challenger_end_it(both: tuple[House, Loop]) -> None:
    house, loop = both
    house.client.start_canary("risk", 0.5)
    house.client.promote("risk", force=True, why="x")
    assert house.service.serving.canaries == {}
    assert set(sides(house).values()) == {loop.digest(2)}
    loop.registry.point("risk", "challenger", 1)
    house.client.start_canary("risk", 0.5)
    house.client.rollback("risk")
    assert house.service.serving.canaries == {}
    loop.registry.point("risk", "challenger", 2)
    house.client.start_canary("risk", 0.5)
    loop.registry.point("risk", "challenger", None)  # past us: the next look sees it, and writes it down
    assert loop.following.look() == ()
    assert house.service.serving.canaries == {}
    ends = [act for act in loop.acts() if act.action == "model.canary_end"]
    assert [(act.details["because"], act.actor) for act in ends] == [
        ("it is the champion now", "open"),
        ("it is the champion now", "open"),
        ("the challenger is another one", "server"),
    ]
    assert house.faults.faults == []


def test_a_damaged_challenger_never_answers(both: tuple[House, Loop]) -> None:
    house, loop = both
    damaged(loop, 2)
    answer = house.http.put("/v1/models/risk/canary", json={"share": 1})
    assert (answer.status_code, answer.json()["code"]) == (422, "model")
    assert loop.acts() == []
    # somebody sets the note past all this
    canary = Canary("risk", 2, loop.digest(2), loop.digest(1), 1.0, 5)
    loop.registry.mark(loop.registry.version("risk", 2), TAG, canary.tag())
    loop.following.look()
    assert [where for where, _ in house.faults.faults] == ["canary"]
    assert set(sides(house).values()) == {loop.digest(1)}
    shown = house.client.canary("risk").canary
    assert shown is not None
    assert not shown.answers


def test_what_is_refused(both: tuple[House, Loop]) -> None:
    house, loop = both
    for body in ({"share": 0}, {"share": 1.5}, {"share": -1}, {"share": "5%"}, {}, {"share": 0.5, "who": 1}):
        assert house.http.put("/v1/models/risk/canary", json=body).status_code == 422, body
    assert house.http.put("/v1/models/none/canary", json={"share": 0.5}).status_code == 404
    loop.registry.point("risk", "challenger", None)
    with pytest.raises(ApiError, match="risk has no challenger"):
        house.client.start_canary("risk", 0.5)
    assert not house.client.stop_canary("risk").changed
    assert loop.acts() == []


def test_both_clients_ask_alike(both: tuple[House, Loop]) -> None:
    house, _ = both

    async def ask() -> tuple[Any, ...]:
        async with hw.AsyncClient(house.url) as client:
            return (
                await client.start_canary("risk", 0.5),
                await client.canary("risk"),
                await client.stop_canary("risk"),
            )

    started, shown, stopped = asyncio.run(ask())
    assert (started.canary, stopped.before) == (shown.canary, 0.5)


def test_without_a_registry(house: House) -> None:
    asks: list[Callable[[hw.Client], object]] = [
        lambda client: client.canary("risk"),
        lambda client: client.start_canary("risk", 0.5),
        lambda client: client.stop_canary("risk"),
    ]
    for ask in asks:
        with pytest.raises(ApiError, match="this service has no registry"):
            ask(house.client)
