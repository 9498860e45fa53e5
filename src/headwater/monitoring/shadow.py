"""Shadow: the challenger scores what the champion decided, and never answers.

::

    decision records ──► one that another version answered ──► the challenger: score, band, reasons
                                                                      └──► the shadow ledger

Where the challenger answered itself, as a canary, the champion is asked in its place. A decision is compared
after it was made and recorded, so that nobody waits, and a challenger that raises harms nobody. Its vector is
that of the record where both versions read texts alike; else it is derived from the log. Called by
``apps.monitors``, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headwater.core.errors import LogError, StoreError
from headwater.monitoring.parity import Share
from headwater.serving.decide import Decider
from headwater.serving.extract import Extract
from headwater.serving.live import Scored
from headwater.serving.rederive import Asked, Step, rederive
from headwater.serving.replay import Deciders
from headwater.serving.scoring import Float64, Scoring
from headwater.store.decision import Decision
from headwater.store.decisions import Record
from headwater.store.protocol import Decisions
from headwater.store.shadow import Shadowed, ShadowLedger

TOGETHER = 256  # records that are looked at before the ledger is written


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look added, of one model.

    Attributes:
        compared: decisions that the challenger scored.
        failed: those that it could not score.
        flips: those with another band.
        reasons: those with another first reason.
    """

    compared: int = 0
    failed: int = 0
    flips: int = 0
    reasons: int = 0


class ShadowWatch:
    """Lets challengers score what was decided. For one thread at a time.

    Args:
        decisions: the records.
        ledger: where the outcome is kept.
        challengers: model to its challenger, for models that have one that can be loaded.
        deciders: each decision's own model and policy, where they are at hand.
        extract: the events of some entities.
        share: which share of the decisions is compared, from 0 to 1.
        step: called now and then; may raise to stop.
        fault: told of an error of a challenger.
        champions: model to the version beside the challenger, for decisions of a canary.
    """

    def __init__(
        self,
        decisions: Decisions,
        ledger: ShadowLedger,
        challengers: Mapping[str, Scoring],
        deciders: Deciders,
        extract: Extract,
        *,
        share: float = 1.0,
        step: Step | None = None,
        fault: Callable[[str, BaseException], None] = lambda _model, _error: None,
        champions: Mapping[str, Scoring] | None = None,
    ) -> None:
        self._champions = champions or {}
        self._decisions = decisions
        self._ledger = ledger
        self._challengers = challengers
        self._deciders = deciders
        self._extract = extract
        self._share = Share(share)
        self._step = step
        self._fault = fault
        self._made: dict[tuple[str, str], Decider] = {}
        reached = ledger.reached()
        self._reached = decisions.head().number if reached is None else reached  # nothing of before
        if reached is None:
            ledger.add(self._reached)

    @property
    def waiting(self) -> int:
        """Decision records that were not looked at yet."""
        return max(0, self._decisions.head().number - self._reached)

    def look(self, limit: int = TOGETHER) -> dict[str, Looked]:
        """Look at the next records; what challengers were compared on, by model.

        Raises:
            StoreError: the records or the ledger cannot be used; nothing was added.
            LogError: the log cannot be read; nothing was added.
        """
        last = self._decisions.head().number
        if not self._challengers:
            self._go_on(last)
            return {}
        records = self._decisions.page(after=self._reached, limit=limit)
        if not records:
            return {}
        rows = [row for record in records if (row := self._row(record)) is not None]
        self._ledger.add(records[-1].number, rows)
        self._reached = records[-1].number
        found: dict[str, Looked] = {}
        for row in rows:
            if row.challenger != self._challengers[row.model].digest:
                continue  # the champion, beside a canary
            found[row.model] = _counted(found.get(row.model, Looked()), row)
        return found

    def _go_on(self, last: int) -> None:
        if last > self._reached:
            self._ledger.add(last)
            self._reached = last

    def _row(self, record: Record) -> Shadowed | None:
        """None where nothing is to be compared."""
        decision = record.decision
        challenger = self._challengers.get(decision.model)
        if challenger is not None and challenger.digest == decision.model_digest:
            challenger = self._champions.get(decision.model)
        if challenger is None or challenger.digest == decision.model_digest:
            return None
        if not self._share.has(record.number):
            return None
        if self._step is not None:
            self._step()
        try:
            own = self._deciders(decision)
            other = None if own is None else self._other(decision, own, challenger)
        except (StoreError, LogError):
            raise
        except Exception as error:  # noqa: BLE001 - an estimator is the user's code; it is counted
            self._fault(decision.model, error)
            return _shadowed(record, challenger, None, type(error).__name__)
        return None if other is None else _shadowed(record, challenger, other, None)

    def _other(self, decision: Decision, own: Decider, challenger: Scoring) -> Decision:
        key = own.policy_hash, challenger.digest
        if key not in self._made:
            self._made[key] = Decider(own.policy, challenger)
        x = self._vector(decision, own.scoring, challenger)
        scored = Scored(
            decision.model,
            decision.keys,
            decision.time,
            decision.offset,
            decision.request,
            x,
            challenger.score(x),
        )
        return self._made[key].decide(scored, decision.decided_at)

    def _vector(self, decision: Decision, own: Scoring, challenger: Scoring) -> Float64:
        if _reads_alike(own, challenger):
            values = [decision.features.get(name) for name in challenger.names]
            return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        x: Float64 = rederive(challenger, Asked.of([decision]), self._extract, step=self._step)[0]
        return x


def _reads_alike(one: Scoring, other: Scoring) -> bool:
    """Whether a vector of one version is a vector of the other."""
    return (
        one.definition_hash == other.definition_hash
        and one.names == other.names
        and one.artifact.inputs.categories == other.artifact.inputs.categories
    )


def _shadowed(record: Record, challenger: Scoring, other: Decision | None, failure: str | None) -> Shadowed:
    own = record.decision
    return Shadowed(
        decision=record.number,
        model=own.model,
        served=own.model_digest,
        challenger=challenger.digest,
        policy=own.policy,
        decided_at=own.decided_at,
        served_score=own.score,
        score=None if other is None else other.score,
        served_band=own.band,
        band=None if other is None else other.band,
        served_reason=_first(own),
        reason=None if other is None else _first(other),
        failure=failure,
    )


def _first(decision: Decision) -> str | None:
    return decision.reasons[0].feature if decision.reasons else None


def _counted(so_far: Looked, row: Shadowed) -> Looked:
    if row.failure is not None:
        return Looked(so_far.compared, so_far.failed + 1, so_far.flips, so_far.reasons)
    return Looked(
        so_far.compared + 1,
        so_far.failed,
        so_far.flips + (row.band != row.served_band),
        so_far.reasons + (row.reason != row.served_reason),
    )


def added(one: Mapping[str, Looked], more: Mapping[str, Looked]) -> dict[str, Looked]:
    """The sum of two looks."""
    total = dict(one)
    for model, found in more.items():
        was = total.get(model, Looked())
        total[model] = Looked(*(a + b for a, b in zip(_facts(was), _facts(found), strict=True)))
    return total


def _facts(looked: Looked) -> Sequence[int]:
    return looked.compared, looked.failed, looked.flips, looked.reasons
