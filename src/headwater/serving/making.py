"""Decisions of one turn, made together: their vectors read at once, scored at once, explained at once.

::

    wanted a b c ──► states, one look ──► vectors ──► scores ──► contributions ──► decisions a b c
         │ a canary's, or nothing to gain, or one of them fails: one by one

What each rests on is what it would rest on alone, to the bit. What is gained: a kernel that lets go of the
GIL has to wait for it afterwards, for as long as a thread may keep it, which is longer than the kernel runs;
so it is called once for all. Called by ``record``, in its thread; read ``decide`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from headwater.serving.decide import Decider, sound
from headwater.serving.live import Scored
from headwater.serving.served import Serving
from headwater.serving.vectors import Moment, Several, Wish
from headwater.store.decision import Decision

Pair = tuple[Scored, Decision]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be decided.

    Attributes:
        policy: by which; served.
        keys: key column to the entity's key, in the declared types.
        request: the model's request columns, in the declared types.
        at: as of when, microseconds UTC; None for now.
    """

    policy: str
    keys: Mapping[str, Any]
    request: Mapping[str, Any]
    at: int | None = None


class Making:
    """Makes decisions.

    Args:
        serving: what is served at the moment.
        clock: now, microseconds UTC.
        on_fault: told of a canary that failed, and of the champion that answered in its place.
    """

    def __init__(
        self,
        serving: Callable[[], Serving],
        clock: Callable[[], int],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._serving = serving
        self._clock = clock
        self._on_fault = on_fault

    def __call__(self, wanted: Sequence[Wanted]) -> list[Pair | Exception]:
        """For each what was decided, or why it could not be."""
        serving = self._serving()
        made: dict[int, Pair | Exception] = {}
        for name, places in _together(serving, wanted).items():
            if len(places) == 1:
                continue
            decider = serving.deciders[name]
            try:
                pairs = self._made(serving, decider, [wanted[place] for place in places])
            except Exception:  # noqa: BLE001, S112 - one of them is at fault: which, is seen one by one
                continue
            made.update(zip(places, pairs, strict=True))
        return [
            made[place] if place in made else self._alone(serving, one) for place, one in enumerate(wanted)
        ]

    def quickly(self, wanted: Sequence[Wanted]) -> list[Pair] | None:
        """All of them in some microseconds each, or None: whoever asks may not wait.

        None where it takes longer, where somebody is at work on the state, and where one of them fails.
        """
        serving = self._serving()
        made: dict[int, Pair] = {}
        found = _together(serving, wanted)
        if sum(map(len, found.values())) < len(wanted):
            return None
        for name, places in found.items():
            scoring, some = serving.deciders[name].scoring, [wanted[place] for place in places]
            try:
                read = serving.vectors.at_once(scoring, self._wishes(some))
                if read is None:
                    return None
                pairs = self._decided_each(serving.deciders[name], some, read)
            except Exception:  # noqa: BLE001 - made again, and then told, by whoever may wait
                return None
            made.update(zip(places, pairs, strict=True))
        return [made[place] for place in range(len(wanted))]

    # --- Inside ----------------------------------------------------------------------------------

    def _alone(self, serving: Serving, wanted: Wanted) -> Pair | Exception:
        try:
            return self._decided(serving, wanted)
        except Exception as error:  # noqa: BLE001 - an estimator is the user's code; whoever asked is told
            return error

    def _decided(self, serving: Serving, wanted: Wanted) -> Pair:
        decider, chance = serving.policy(wanted.policy), serving.chances.get(wanted.policy)
        if chance is None or not chance.canary.takes(wanted.keys):
            return self._one(serving, decider, wanted)
        try:
            return sound(*self._one(serving, chance.decider, wanted))
        except Exception as error:  # noqa: BLE001 - an estimator is the user's code; the champion answers
            failure = error
        made = self._one(serving, decider, wanted)  # or else the request is at fault
        self._on_fault("canary", failure)
        return made

    def _one(self, serving: Serving, decider: Decider, wanted: Wanted) -> Pair:
        scoring = decider.scoring
        read = serving.vectors.vector(scoring, wanted.keys, self._moment(wanted.at), wanted.request)
        model, score = scoring.model.name, scoring.score(read.x)
        rests_on = read.time, read.offset
        scored = Scored(model, wanted.keys, *rests_on, wanted.request, read.x, score, read.places)
        return scored, decider.decide(scored, self._clock())

    def _made(self, serving: Serving, decider: Decider, wanted: Sequence[Wanted]) -> list[Pair]:
        """Several by one policy."""
        return self._decided_each(
            decider, wanted, serving.vectors.each(decider.scoring, self._wishes(wanted))
        )

    def _decided_each(self, decider: Decider, wanted: Sequence[Wanted], read: Several) -> list[Pair]:
        scores, model = decider.scoring.scorer.score(read.X).tolist(), decider.scoring.model.name
        scored = [
            Scored(model, one.keys, time, offset, one.request, x, score, places)
            for one, time, offset, x, score, places in zip(
                wanted, read.times, read.offsets, read.X, scores, read.places or repeat({}), strict=False
            )
        ]
        return list(zip(scored, decider.decide_each(scored, read.X, self._clock()), strict=True))

    def _wishes(self, wanted: Sequence[Wanted]) -> list[Wish]:
        return [(one.keys, self._moment(one.at), one.request) for one in wanted]

    def _moment(self, at: int | None) -> Moment:
        return Moment(self._clock(), exact=False) if at is None else Moment(at)


def _together(serving: Serving, wanted: Sequence[Wanted]) -> dict[str, list[int]]:
    """Policy to the places of what it gains from deciding at once."""
    places: dict[str, list[int]] = {}
    for place, one in enumerate(wanted):
        chance, decider = serving.chances.get(one.policy), serving.deciders.get(one.policy)
        if (
            decider is not None
            and decider.scoring.scorer.kind == "forest"  # its batches have the bits of its rows
            and (chance is None or not chance.canary.takes(one.keys))
        ):
            places.setdefault(one.policy, []).append(place)
    return places
