"""Card precision: what an investigator who checks k cards a day would find.

Every day the k cards with the highest score are checked. A card found defrauded is blocked, so it
leaves all later days. The figure is the mean over the days of the share of checked cards that were
defrauded: "card precision top-k" of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot and
Bontempi, ULB, chapter 4), which divides by k even on a day with fewer cards. Called by
``models.metrics``; a "card" is any entity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headwater.core.instant import DAY
from headwater.models.ranking import Float64, Int64


@dataclass(frozen=True, slots=True)
class DailyCards:
    """One row per day and card, days rising, scores falling inside a day.

    Attributes:
        card: int64, shape (m,): the card's number, from 0.
        defrauded: bool, shape (m,): whether any of its rows that day was positive.
        days: int64, shape (d + 1,): where each day starts, and the end.
        first: int64, shape (cards,): a row of the input that holds the card, to read its weight from.
    """

    card: Int64
    defrauded: np.typing.NDArray[np.bool_]
    days: Int64
    first: Int64

    @classmethod
    def of(cls, label: Float64, score: Float64, card: Int64, times: Int64) -> DailyCards:
        """Group rows, shape (n,) each, by UTC day and card: the highest score, and any positive."""
        day = times // DAY
        order = np.lexsort((-score, card, day))
        new = np.ones(len(order), np.bool_)
        new[1:] = (day[order][1:] != day[order][:-1]) | (card[order][1:] != card[order][:-1])
        start = np.flatnonzero(new)
        top = order[start]
        defrauded = np.maximum.reduceat(label[order], start) > 0
        ranked = np.lexsort((card[top], -score[top], day[top]))
        days = np.append(np.unique(day[top][ranked], return_index=True)[1], len(ranked))
        first = np.unique(card, return_index=True)[1]
        return cls(card[top][ranked], defrauded[ranked], days, first)

    def weights(self, rows: Float64) -> Float64:
        """The weight of each card, shape (cards,), from that of its rows, shape (n,)."""
        return rows[self.first]

    def precision(self, k: int, weight: Float64 | None = None) -> float:
        """The mean over the days of defrauded cards among the k highest, divided by k.

        Args:
            k: cards checked a day.
            weight: float64, shape (cards,): how often each card was drawn; None is once.

        Example:
            >>> label, score = np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.2, 0.8])
            >>> cards = DailyCards.of(label, score, np.array([0, 1, 0]), np.array([0, 0, DAY]))
            >>> cards.precision(1)  # found on day one, so blocked on day two
            0.5
        """
        left = np.ones(len(self.first)) if weight is None else weight.copy()
        found = np.zeros(len(self.days) - 1)
        for day, (start, stop) in enumerate(zip(self.days[:-1], self.days[1:], strict=True)):
            card, defrauded = self.card[start:stop], self.defrauded[start:stop]
            before = np.cumsum(left[card]) - left[card]
            checked = np.where(defrauded, np.clip(k - before, 0, left[card]), 0)
            found[day] = checked.sum()
            left[card[checked > 0]] = 0
        return float(found.mean() / k)
