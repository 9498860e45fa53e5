"""The challenger in the shadow: scores what was decided, answers nobody, harms nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from headwater.client.failures import ApiError
from headwater.log.embedded import EmbeddedLog
from headwater.monitoring.shadow import ShadowWatch
from headwater.retraining.checks.shadow import checks
from headwater.serving.decide import Decider
from headwater.serving.extract import Extract
from headwater.serving.rederive import Asked, rederive
from headwater.serving.scoring import Scoring
from headwater.store.decisions import DecisionStore
from headwater.store.shadow import ShadowLedger
from tests.http.house import House, serving
from tests.http.test_fault_models import raising
from tests.serving.bank import POLICY, scoring


@contextmanager
def watching(house: House, challenger: Scoring | None) -> Iterator[tuple[ShadowWatch, ShadowLedger]]:
    """A watch on the service's folder, as the process of the monitors has it."""
    service = house.service
    with ExitStack() as stack:
        opened = stack.enter_context
        ledger = opened(ShadowLedger.open(service.folder.shadow))
        log = opened(EmbeddedLog.open(service.folder.log, service.serving.project.streams, writer=False))
        decisions = opened(DecisionStore.open(service.folder.decisions))
        challengers = {} if challenger is None else {"risk": challenger}
        deciders = service.serving.deciders
        yield (
            ShadowWatch(decisions, ledger, challengers, lambda one: deciders[one.policy], Extract(log)),
            ledger,
        )


def test_it_says_what_the_challenger_would_have_decided(tmp_path: Path) -> None:
    challenger = scoring(seed=1)
    with serving(tmp_path) as house:
        with watching(house, challenger) as (watch, ledger):
            made = [house.client.decide({"who": who}) for who in range(20)]
            assert watch.look()["risk"].compared == 20
            rows = ledger.page()
        decider = Decider(POLICY, challenger)
        for row, decision in zip(rows, made, strict=True):
            record = house.service.decisions.get(decision.decision_id).decision
            x = rederive(
                challenger,
                [Asked(record.keys, record.time, record.offset, record.request)],
                house.service.log,
            )[0]
            assert row.score is not None
            assert row.score.hex() == challenger.score(x).hex()  # as if it had decided, to the bit
            assert (row.band, row.served_band) == (decider.policy.band(row.score), decision.band)
            assert (row.served_score, row.served) == (decision.score, decision.versions.model)
        (pair,) = house.client.shadow().shadow
        apart = [row.score - row.served_score for row in rows if row.score is not None]
        assert (pair.decisions, pair.failed, pair.challenger) == (20, 0, challenger.digest)
        assert pair.mean == pytest.approx(sum(apart) / 20)
        assert pair.largest == max(abs(one) for one in apart) > 0
        flips = [(row.served_band, row.band) for row in rows if row.band != row.served_band]
        assert {(one.served, one.challenger): one.decisions for one in pair.flips} == {
            one: flips.count(one) for one in flips
        }
        assert pair.reasons_changed == sum(row.reason != row.served_reason for row in rows)
        with watching(house, challenger) as (again, ledger):
            assert (again.look(), ledger.add(20, rows)) == ({}, 0)  # once is enough
        with pytest.raises(ApiError, match="there is no such model"):
            house.client.shadow("none")


def test_one_that_raises_or_is_missing_harms_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as house:
        bad = raising()
        bad.digest = "of another"
        bad.scorer.score_one = bad.scorer.contributions  # type: ignore[method-assign, assignment]
        with watching(house, bad) as (watch, ledger):
            first = house.client.decide({"who": 1})
            looked = watch.look()["risk"]
            assert (looked.compared, looked.failed) == (0, 1)
            (row,) = ledger.page()
            assert (row.failure, row.score, row.served_band) == ("ModelError", None, first.band)
            assert ledger.summaries()[0].words() == (
                "The challenger scored none of 1 live decisions: it failed on each."
            )
        house.client.decide({"who": 2})
        with watching(house, None) as (watch, ledger):
            assert (watch.waiting, watch.look(), watch.waiting) == (1, {}, 0)
        assert house.client.shadow().shadow[0].failed == 1


def test_the_version_that_answers_is_nobodys_shadow(tmp_path: Path) -> None:
    with serving(tmp_path) as house, watching(house, scoring()) as (watch, ledger):
        house.client.decide({"who": 1})
        assert (watch.look(), ledger.page()) == ({}, [])


def test_the_gate_tells_of_it_and_holds_nobody(tmp_path: Path) -> None:
    challenger = scoring(seed=1)
    with serving(tmp_path) as house, watching(house, challenger) as (watch, ledger):
        house.client.decide({"who": 1})
        watch.look()
        found = ledger.summaries(model="risk", challenger=challenger.digest, until=house.clock.now())
        (check,) = checks(found, challenger.digest, scoring().digest)
        assert (check.verdict, check.holds, check.words) == ("for information", False, found[0].words())
        assert ledger.summaries(until=0) == []
        (check,) = checks(found, challenger.digest, "another")
        assert (check.verdict, check.holds) == ("not looked at", False)
