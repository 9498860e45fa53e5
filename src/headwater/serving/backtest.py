"""Which past decisions would come out otherwise under another model or policy, and why: counts and examples.

Decisions are read from their store in stretches, each made again with one pass over the log
(``replay.replay_many``). It tells how far it is and can be stopped, so that an edge may run it as a job.
Called by ``apps``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from headwater.log.protocol import EventLog
from headwater.serving.attribution import Cause
from headwater.serving.decide import Decider
from headwater.serving.replay import Deciders, Replayed, replay_many
from headwater.store.decisions import Record
from headwater.store.protocol import Decisions

STRETCH = 20_000  # decisions with one pass over the log
EXAMPLES = 100
NO_REASON = "no reason"

Progress = Callable[[int, int], None]  # decisions done, of how many


@dataclass(frozen=True, slots=True)
class Changed:
    """A decision that would have another band.

    Attributes:
        id: of its record.
        keys: whose.
        time: as of when, microseconds UTC.
        then, now: score and band.
        cause: what makes the band another one.
        words: a sentence for each thing that differs.
        reasons: the texts that it would be told, the strongest first.
    """

    id: str
    keys: Mapping[str, Any]
    time: int
    then: tuple[float, str]
    now: tuple[float, str]
    cause: Cause
    words: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Backtest:
    """What came of it.

    Attributes:
        total: decisions to compare.
        compared: how many were; fewer if it was stopped.
        same: to the bit.
        moved: with another score, feature or reason but the same band.
        changed: with another band.
        transitions: how many went from one band to another; those that stayed are counted too.
        causes: of the changed ones, how many by what made the band another one.
        reasons: of the changed ones, how many by the strongest reason that they would be told.
        data: how many have a difference that no exchange explains: an alarm.
        numbers: record numbers of all that changed.
        examples: the first of them.
        stopped: whether it was stopped before its end.
    """

    total: int
    compared: int
    same: int
    moved: int
    changed: int
    transitions: Mapping[tuple[str, str], int]
    causes: Mapping[Cause, int]
    reasons: Mapping[str, int]
    data: int
    numbers: tuple[int, ...]
    examples: tuple[Changed, ...]
    stopped: bool


def backtest(
    store: Decisions,
    log: EventLog,
    decider: Decider,
    *,
    own: Deciders | None = None,
    progress: Progress | None = None,
    stopped: Callable[[], bool] | None = None,
    examples: int = EXAMPLES,
    stretch: int = STRETCH,
    hidden: Collection[str] = (),
    **filters: Any,
) -> Backtest:
    """Make past decisions of a policy's model again with another model or policy.

    Args:
        store: the decisions; those that exist now are compared.
        log: that they rested on.
        decider: the model and the policy to compare with.
        own: each decision's own model and policy, where they are at hand: causes are then exact.
        progress: told how far it is.
        stopped: asked now and then; True ends it with what was compared so far.
        examples: how many changed decisions to keep whole.
        stretch: decisions with one pass over the log; they are held in memory.
        hidden: inputs whose values are not to be told in the examples.
        filters: which decisions: ``policy``, ``key``, ``since``, ``until``, ``band``, as for
            :meth:`Decisions.page`.

    Raises:
        DataError: a decision lacks a key or request column of the model.
    """
    filters = {**filters, "model": decider.scoring.model.name}
    last = len(store)
    records = store.scan(until_number=last, **filters)
    tally = _Tally(store.count(**filters), examples, hidden)

    def step() -> None:
        if stopped is not None and stopped():
            raise _StoppedError
        if progress is not None:
            progress(tally.compared, tally.total)

    try:
        while part := list(islice(records, stretch)):
            step()
            for record, found in _made_again(part, log, decider, own, step):
                tally.add(record, found)
    except _StoppedError:
        return tally.result(stopped=True)
    if progress is not None:
        progress(tally.compared, tally.compared)
    return tally.result(stopped=False)


class _StoppedError(Exception):
    """Carries the wish to stop out of a replay; never leaves this module."""


def _made_again(
    records: list[Record],
    log: EventLog,
    decider: Decider,
    own: Deciders | None,
    step: Callable[[], None],
) -> Iterator[tuple[Record, Replayed]]:
    decisions = [record.decision for record in records]
    return zip(records, replay_many(decisions, log, decider, own=own, step=step), strict=True)


class _Tally:
    """Counts as it goes."""

    def __init__(self, total: int, examples: int, hidden: Collection[str]) -> None:
        self._hidden = hidden
        self.total = total
        self.compared = self.same = self.data = 0
        self._examples = examples
        self._transitions: Counter[tuple[str, str]] = Counter()
        self._causes: Counter[Cause] = Counter()
        self._reasons: Counter[str] = Counter()
        self._numbers: list[int] = []
        self._kept: list[Changed] = []

    def add(self, record: Record, found: Replayed) -> None:
        self.compared += 1
        self.same += found.same
        self.data += any(difference.cause == "data" for difference in found.differences)
        then, now = found.then, found.now
        self._transitions[then.band, now.band] += 1
        if then.band == now.band:
            return
        cause = next(one.cause for one in found.differences if one.what == "the band")
        self._causes[cause] += 1
        self._reasons[now.reasons[0].text if now.reasons else NO_REASON] += 1
        self._numbers.append(record.number)
        if len(self._kept) < self._examples:
            pairs = (then.score, then.band), (now.score, now.band)
            texts = tuple(reason.text for reason in now.reasons)
            words = found.words(self._hidden)
            self._kept.append(Changed(record.id, then.keys, then.time, *pairs, cause, words, texts))

    def result(self, *, stopped: bool) -> Backtest:
        changed = len(self._numbers)
        return Backtest(
            total=max(self.total, self.compared),
            compared=self.compared,
            same=self.same,
            moved=self.compared - self.same - changed,
            changed=changed,
            transitions=dict(sorted(self._transitions.items())),
            causes=dict(self._causes.most_common()),
            reasons=dict(self._reasons.most_common()),
            data=self.data,
            numbers=tuple(self._numbers),
            examples=tuple(self._kept),
            stopped=stopped,
        )
