"""What may happen in one slot of a day, and how likely it is: the only source of the dynamics.

``walk`` draws from these tables to make the events; ``risk`` multiplies by the very same tables to know
the true probability of what comes. A table says, for each group of accounts, state of life and level,
the chance of every outcome, and for every outcome the level that it leads to::

    Table.chance  [group, state, level, outcome]     rows sum to 1
    Table.target  [level, outcome] -> level          outcome 0: nothing happens, no booking
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from headwater.apps.demo.lender.calendar import Weather
from headwater.apps.demo.lender.terms import (
    AFTERNOON,
    BENEFIT,
    BEYOND,
    CALM,
    CRISIS,
    EVENING,
    GROUPS,
    JOBLESS,
    LEVELS,
    MORNING,
    PAYDAYS,
    SALARY,
    STATES,
    STRAINED,
    TEMPERAMENTS,
    TOLERANCE,
)

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

HEADROOM: Int = np.arange(LEVELS) - BEYOND
TEMPER: Int = np.arange(GROUPS) % len(TEMPERAMENTS)
_SHAPE = (GROUPS, len(STATES), LEVELS)


@dataclass(frozen=True)
class Table:
    """The outcomes of one slot, outcome 0 being that nothing happens.

    Attributes:
        names: one name per outcome.
        chance: float64 (groups, states, levels, outcomes).
        target: int64 (levels, outcomes).
    """

    names: tuple[str, ...]
    chance: Float
    target: Int

    @cached_property
    def cumulative(self) -> Float:
        """Upper edges of the outcomes on [0, 1), without the last: what a uniform draw is compared with."""
        edges: Float = np.ascontiguousarray(np.cumsum(self.chance, axis=-1)[..., :-1])
        return edges

    @cached_property
    def matrix(self) -> Float:
        """Level to level, (groups, states, levels, levels): rows sum to 1."""
        whole = np.zeros((*_SHAPE, LEVELS))
        rows = np.arange(LEVELS)
        for outcome in range(len(self.names)):
            whole[:, :, rows, self.target[:, outcome]] += self.chance[..., outcome]
        return whole

    @cached_property
    def evidence(self) -> Float:
        """The chances laid out for an observer who sees payday, level and outcome but no more.

        Shape (paydays * levels * outcomes, temperaments * states): a row is a likelihood.
        """
        outcomes = len(self.names)
        split = self.chance.reshape(len(PAYDAYS), len(TEMPERAMENTS), len(STATES), LEVELS, outcomes)
        rows: Float = np.ascontiguousarray(split.transpose(0, 3, 4, 1, 2))
        return rows.reshape(len(PAYDAYS) * LEVELS * outcomes, -1)

    @property
    def quiet(self) -> Float:
        """The chance that nothing happens, (groups, states, levels)."""
        return self.chance[..., 0]


def _table(outcomes: dict[str, tuple[Float, Int]]) -> Table:
    """A table from each outcome's chance (broadcast to groups, states, levels) and target level."""
    happens = [np.broadcast_to(chance, _SHAPE) for chance, _ in outcomes.values()]
    quiet = 1.0 - sum(happens, np.zeros(_SHAPE))
    levels = [np.arange(LEVELS), *(target for _, target in outcomes.values())]
    return Table(("nothing", *outcomes), np.stack([quiet, *happens], axis=-1), np.stack(levels, axis=-1))


def _by_state(*chances: float) -> Float:
    return np.array(chances).reshape(1, len(STATES), 1)


def _by_temper(*factors: float) -> Float:
    return np.array(factors)[TEMPER].reshape(GROUPS, 1, 1)


def _up(units: int) -> Int:
    return np.minimum(np.arange(LEVELS) + units, LEVELS - 1)


def _down(units: int) -> Int:
    return np.maximum(np.arange(LEVELS) - units, 0)


def income() -> Table:
    """Payday: the salary, or the benefit for whoever has lost the work; sometimes neither comes."""
    return _table({
        "salary": (_by_state(0.996, 0.99, 0.97, 0.0), _up(SALARY)),
        "benefit": (_by_state(0.0, 0.0, 0.0, 0.88), _up(BENEFIT)),
    })  # fmt: skip


def debit(purpose: str, chances: dict[int, float], tolerance: int = TOLERANCE) -> Table:
    """A direct debit of so many units with such chances: paid, or returned for a fee."""
    outcomes: dict[str, tuple[Float, Int]] = {}
    returned = np.zeros(LEVELS)
    for units, chance in chances.items():
        paid = HEADROOM - units >= tolerance
        outcomes[f"{purpose}:{units}"] = (chance * paid.astype(float), _down(units))
        returned += chance * ~paid
    return _table({**outcomes, "returned_fee": (returned, np.arange(LEVELS))})


def rent() -> Table:
    """The third of the month."""
    return debit("rent", {4: 1.0})


def energy(weather: Weather) -> Table:
    """The twelfth; after the change of regime the bill is more often the double or the triple one."""
    triple = 0.12 * weather.regime
    double = 0.15 + 0.25 * weather.regime
    return debit("energy", {1: 1.0 - double - triple, 2: double, 3: triple})


def loan(units: int) -> Table:
    """The twentieth, for whoever owes an instalment: the bank does not lend its own instalment."""
    return debit("loan_payment", {units: 1.0}, tolerance=0)


def savings() -> Table:
    """The morrow of payday: what is more than enough is put aside."""
    enough = _by_temper(30, 24, 20)
    inclined = np.where(enough <= HEADROOM, _by_temper(0.9, 0.8, 0.65), 0.0)
    inclined = np.where(HEADROOM >= 36, 1.0, inclined)
    put = np.where(HEADROOM >= 36, 14, np.where(HEADROOM >= 28, 8, 5))
    return _table({"savings": (inclined, np.maximum(np.arange(LEVELS) - put, 0))})


_SHARE = {
    MORNING: _by_state(0.30, 0.28, 0.22, 0.35),
    AFTERNOON: _by_state(0.36, 0.34, 0.33, 0.38),
    EVENING: _by_state(0.34, 0.38, 0.45, 0.27),
}


def purchase(slot: int, weather: Weather, weekend: bool) -> Table:
    """Something bought: more often in a strained life, less often by the thrifty and by an empty account.

    What would pass the limit is mostly declined, which books nothing; offline it sometimes goes through.
    """
    daily = _by_state(0.118, 0.30, 0.95, 0.095) * weather.spending * (1.25 if weekend else 0.90)
    mood = np.interp(HEADROOM, [-6, 0, 4, 14, 30], [0.50, 0.65, 0.90, 1.05, 1.45])
    mood = mood[None, None, :] * _by_temper(0.85, 0.97, 1.08)
    want = np.minimum(daily * mood * _SHARE[slot], 0.9)
    dearer = 0.04 * weather.regime
    sizes = {
        1: _by_state(0.64, 0.58, 0.42, 0.74) - dearer,
        2: _by_state(0.29, 0.32, 0.38, 0.24) + dearer,
        4: _by_state(0.07, 0.10, 0.20, 0.02),
    }
    through = _by_state(0.18, 0.30, 0.50, 0.15)
    outcomes: dict[str, tuple[Float, Int]] = {}
    for units, share in sizes.items():
        left = HEADROOM - units
        accepted = np.where(left >= 0, 1.0, np.where(left >= TOLERANCE, through, 0.0))
        outcomes[f"purchase:{units}"] = (want * share * accepted, _down(units))
    return _table(outcomes)


def help_in(weather: Weather) -> Table:
    """Late afternoon: refunds and gifts for all, and a rescue for whoever is beyond the limit.

    After the change of regime the family's savings are used up: rescues become rarer.
    """
    rescue = _by_state(0.50, 0.32, 0.16, 0.15) * _by_temper(1.25, 1.0, 0.85) * (1.0 - 0.25 * weather.regime)
    rescued = np.where(HEADROOM < 0, rescue, 0.0)
    gift = np.broadcast_to(_by_state(0.012, 0.010, 0.006, 0.012), _SHAPE) * (HEADROOM < 40)
    back = np.where(HEADROOM < 0, 3 + BEYOND, np.arange(LEVELS))
    return _table({"rescue": (rescued, back), "gift": (np.where(HEADROOM < 0, 0.0, gift), _up(1))})


def life(weather: Weather) -> Float:
    """The morning's post: state to state, (groups, states, states); rows sum to 1."""
    worse = weather.strain * (1.0 + 0.4 * weather.regime)
    temper = np.array([0.45, 1.0, 1.7])[TEMPER]
    turn = np.zeros((GROUPS, len(STATES), len(STATES)))
    turn[:, CALM, STRAINED] = 0.0030 * worse * temper
    turn[:, CALM, CRISIS] = 0.0014 * worse * temper
    turn[:, CALM, JOBLESS] = 0.00045 * (1.0 + 0.8 * weather.regime)
    turn[:, STRAINED, CALM] = 0.045
    turn[:, STRAINED, CRISIS] = 0.012 * worse
    turn[:, STRAINED, JOBLESS] = 0.0010
    turn[:, CRISIS, CALM] = 0.09
    turn[:, CRISIS, STRAINED] = 0.07
    turn[:, JOBLESS, CALM] = 0.013 * (1.0 - 0.35 * weather.regime)
    turn[:, JOBLESS, CRISIS] = 0.003 * worse
    for state in range(len(STATES)):
        turn[:, state, state] = 1.0 - turn[:, state].sum(axis=-1)
    return turn
