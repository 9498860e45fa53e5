"""Where an account stands at a moment: the latent state looked up, and the place in the day.

Shared by ``risk`` (which solves what comes) and ``belief`` (which weighs what was seen).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.apps.demo.lender.moves import Float, Int
from headwater.apps.demo.lender.people import People
from headwater.apps.demo.lender.terms import BANDS, DAY_SECONDS, LIFE, NIGHT
from headwater.apps.demo.lender.walk import Path
from headwater.core.instant import SECOND

Bool = npt.NDArray[np.bool_]

_SHIFT = 2**33  # more seconds than any simulation has
_SLOTS = 8


@dataclass(frozen=True)
class Standing:
    """Where accounts stand at moments of theirs; int64 arrays of one shape (n,).

    Attributes:
        account: index from 0.
        group: payday and temperament, see ``terms``.
        day, second: the day of the simulation and the whole second of it.
        level, state, nights: see ``terms``.
        slot: the slot that comes next, or that is running; 8 is the end of the day.
        waiting: whether that slot is running and nothing has happened in it yet.
        deadline: the day of the last night run that counts.
    """

    account: Int
    group: Int
    day: Int
    second: Int
    level: Int
    state: Int
    nights: Int
    slot: Int
    waiting: Bool
    deadline: Int


class History:
    """The latent path, ready to be asked about any account and moment."""

    def __init__(self, who: People, path: Path) -> None:
        self._who, self._path = who, path
        key = path.account * _SHIFT + path.second
        order = np.argsort(key, kind="stable")
        self._key = key[order]
        self._level, self._slot = path.level[order], path.slot[order]

    def opened(self, account: Int, moments: Int) -> Bool:
        """Whether accounts have had their first booking; arguments as in :meth:`standing`."""
        first = self._who.opened[account] * DAY_SECONDS + self._who.opening_second[account]
        result: Bool = moments // SECOND >= first
        return result

    def standing(self, account: Int, moments: Int, horizon: int) -> Standing:
        """Look up the latent state of open accounts.

        Args:
            account: indices from 0, shape (n,).
            moments: microseconds since the first day's midnight, shape (n,).
            horizon: microseconds.
        """
        who, path = self._who, self._path
        at = moments // SECOND
        day, second = at // DAY_SECONDS, at % DAY_SECONDS
        last = np.searchsorted(self._key, account * _SHIFT + at, side="right") - 1
        yesterday = np.maximum(day - 1, 0)
        state = np.where(day > 0, path.state[yesterday, account], path.start[account])
        nights = np.where(day > 0, path.nights[yesterday, account], 0)
        posted, run = second >= who.post_second[account], second >= who.night_second[account]
        slot = _next_slot(second, run, posted)
        today = self._key[last] % _SHIFT // DAY_SECONDS == day
        done = today & (self._slot[last] == slot)
        slot = slot + done
        deadline = ((moments + horizon) // SECOND - who.night_second[account]) // DAY_SECONDS
        return Standing(
            account=account,
            group=who.group[account],
            day=day,
            second=second,
            level=self._level[last],
            state=np.where(posted, path.state[day, account], state).astype(np.int64),
            nights=np.where(run, path.nights[day, account], nights).astype(np.int64),
            slot=slot,
            waiting=_running(slot, second) & ~done,
            deadline=deadline,
        )


def _next_slot(second: Int, run: Bool, posted: Bool) -> Int:
    """The first slot of the day that is not over; points are over at the account's own second."""
    points = {NIGHT: run, LIFE: posted}
    over = [points.get(slot, second >= BANDS[slot][1]) for slot in range(_SLOTS)]
    count: Int = np.sum(over, axis=0, dtype=np.int64)
    return count


def _running(slot: Int, second: Int) -> Bool:
    """Whether the next slot is a band that has begun."""
    begun = np.zeros(len(slot), dtype=bool)
    for number, (start, _) in BANDS.items():
        if number not in (NIGHT, LIFE):
            begun |= (slot == number) & (second >= start)
    return begun


def left(slot: int, second: Int) -> Float:
    """The share of a band's seconds that are still to come."""
    start, stop = BANDS[slot]
    share: Float = (stop - 1 - second) / (stop - start)
    return share
