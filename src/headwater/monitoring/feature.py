"""One feature in one window beside its spread in training: what is measured of it, and what that is worth.

Called by ``drift``, which corrects for all features that are looked at and gives the verdict. The distances
are in ``distance``, the reference in ``models.spread``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.models.clusters import effective, hits_worth, tally
from headwater.models.spread import Rows, Spread
from headwater.models.tails import binomial_none, f_tail, fisher_tail, humbled, ks_tail
from headwater.monitoring.distance import expected_psi, jensen_shannon, kolmogorov_smirnov, psi
from headwater.monitoring.verdict import Finding, Level, Rule, ranked, worst

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

_LEAST_EXPECTED = 5.0  # rows in a bin, for a chi-squared test; bins with fewer are put together
_LARGE = 25.0  # expected hits from which a share is tested by its variance instead of exactly


@dataclass(frozen=True)
class FeatureDrift:
    """One feature in one window.

    Attributes:
        name: of the input, or ``score``.
        level: the gravest of ``findings``; ``too few`` where no verdict can be given on the distribution,
            unless something else stands out.
        unjudged: why the distribution got no verdict, as in ``too few rows: 12 of 50``; None if it got one.
        rows: in the window; ``effective`` of those with a value count as independent.
        psi, ks, js: distances from the reference; NaN where there is nothing to compare, ``ks`` also for
            categories.
        missing, usual_missing: share of nulls now and in training.
        unseen: share of rows with a category never seen; NaN where that is not known.
        vanished: usual share of the categories that are gone.
        below, above: share of known rows under the smallest and over the largest training value.
        median, usual_median: NaN for categories.
        p: of the gravest finding, corrected for all that was looked at.
        findings: what was measured, the gravest first.
    """

    name: str
    level: Level
    rows: int
    effective: float
    psi: float
    ks: float
    js: float
    missing: float
    usual_missing: float
    unseen: float
    vanished: float
    below: float
    above: float
    median: float
    usual_median: float
    p: float = 1.0
    unjudged: str | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def severity(self) -> float:
        """Effect over its floor, of the gravest finding."""
        return self.findings[0].severity if self.findings else 0.0

    def judged(self, findings: Sequence[Finding]) -> FeatureDrift:
        """With findings that are judged, the gravest first."""
        if not findings:
            return self
        order = ranked(findings)
        level = worst(finding.level for finding in order)
        if self.unjudged is not None and level == "quiet":
            level = "too few"  # of what could be looked at nothing stands out, and the rest is not known
        return replace(self, findings=order, level=level, p=order[0].adjusted)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; null for NaN."""
        form = {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__ if name != "findings"}
        return form | {"findings": [finding.to_json() for finding in self.findings]}


def measure(
    name: str, spread: Spread, values: Float64, rows: Rows, unseen: Bool | None, rule: Rule
) -> FeatureDrift:
    """Measure one column.

    Args:
        name: of the input.
        spread: in training.
        values: float64, shape (n,); NaN is null.
        rows: whose rows these are.
        unseen: which rows have a category that training never saw, shape (n,); None if that is not known.
        rule: says below how many rows and entities nothing is said.

    Returns:
        Its findings are not judged yet; none where the rows are too few.
    """
    return _Column(name, spread, values, rows, unseen).measured(rule)


class _Column:
    """One column of a window beside its spread in training."""

    def __init__(self, name: str, spread: Spread, values: Float64, rows: Rows, unseen: Bool | None) -> None:
        self.name, self.spread, self.unseen, self.rows = name, spread, unseen, rows
        self.count = len(values)
        self.has_value = ~np.isnan(values)
        self.values = values if self.has_value.all() else values[self.has_value]
        self.known = len(self.values)
        self.nulls = self.count - self.known
        self.places = spread.places(self.values)
        self.counts = np.bincount(self.places, minlength=len(spread.points) + 1).astype(np.float64)
        self.bins = np.bincount(spread.bins, weights=self.counts, minlength=spread.bin_count)
        self._weigh()

    def _weigh(self) -> None:
        """Independent rows, for the shares of the bins and for the share of nulls."""
        size = self.spread.bin_count
        column = np.full(self.count, size)
        column[self.has_value] = self.spread.bins[self.places]
        chosen = self.rows.chosen
        some = column if chosen is None else column[chosen]
        found = effective(tally(some, size + 1, self.rows.entity, self.rows.entities))
        scale = self.count / max(len(some), 1)
        self.raw_worth = min(found.known * scale, float(self.known))
        self.worth = bounded(self.raw_worth, self.spread.variation)
        nulls = found.nulls * scale
        self.null_worth = bounded(nulls, self.spread.variation_nulls)
        self.degrees = self._degrees(self.raw_worth, self.spread.variation)
        self.null_degrees = self._degrees(nulls, self.spread.variation_nulls)

    def _degrees(self, rows: float, variation: float) -> float:
        """Degrees of freedom of the variance that a test rests on (Satterthwaite, 1946)."""
        if rows <= 0:
            return 1.0
        chance, usual = 1 / rows, variation
        squares = chance**2 / max(self.rows.entities - 1, 1) + usual**2 / max(self.spread.weeks - 1, 1)
        return max((chance + usual) ** 2 / squares, 1.0)

    def measured(self, rule: Rule) -> FeatureDrift:
        """All numbers, with findings that are not judged yet."""
        spread, shares = self.spread, self.bins / max(self.known, 1)
        few = self.rows.entities < rule.least_entities
        comparable = self.known > 0 and spread.known > 0
        ks = self._ks() if comparable and spread.kind == "number" else np.nan
        index = psi(shares, spread.shares, self.known, spread.known) if comparable else np.nan
        below = float((self.values < spread.lowest).sum()) / max(self.known, 1) if comparable else 0.0
        above = float(self.counts[-1]) / max(self.known, 1) if comparable else 0.0
        found: list[Finding] = []
        if not few and self.null_worth >= rule.least_rows:
            found += self._missing()
            found += self._unseen_categories()
        if comparable and self._unjudged(rule) is None:
            found += self._moved(shares, ks)
            found += self._vanished()
            found += self._outside(below, above)
        unjudged = self._unjudged(rule)
        return FeatureDrift(
            name=self.name,
            level="quiet" if found and unjudged is None else "too few",
            rows=self.count,
            effective=self.raw_worth,
            psi=index,
            ks=ks,
            js=jensen_shannon(shares, spread.shares) if comparable else np.nan,
            missing=self.nulls / max(self.count, 1),
            usual_missing=spread.nulls / max(spread.rows, 1),
            unseen=np.nan if self.unseen is None else float(self.unseen.mean()) if self.count else 0.0,
            vanished=float(self._gone().sum()) if comparable else 0.0,
            below=below,
            above=above,
            median=self._median(),
            usual_median=self._usual_median(),
            unjudged=unjudged,
            findings=tuple(found),
        )

    def _unjudged(self, rule: Rule) -> str | None:
        """Why the distribution of the known values gets no verdict. Rows are counted as independent ones."""
        if self.rows.entities < rule.least_entities:
            return f"too few entities: {self.rows.entities:,} of {rule.least_entities:,}"
        if not self.known and not self.spread.known and self.count:
            return None  # null in training, and null now
        if not self.spread.known:
            return "no values in training"
        worth = int(self.worth)
        return f"too few rows: {worth:,} of {rule.least_rows:,}" if worth < rule.least_rows else None

    def _ks(self) -> float:
        return kolmogorov_smirnov(np.cumsum(self.counts[:-1]) / self.known, np.array(self.spread.below))

    def _moved(self, shares: Float64, ks: float) -> Iterator[Finding]:
        """The distribution of the known values: one finding, by whichever of two tests says more."""
        spread = self.spread
        rows, usual = self.worth, spread.effective
        p = _shares_p(shares, spread.shares, rows, usual, self.degrees)
        beyond = psi(shares, spread.shares, rows, usual) - expected_psi(spread.bin_count, rows, usual)
        if np.isnan(ks):
            yield Finding(self.name, "psi", max(beyond, 0.0), p, self._moved_words(shares, ks))
            return
        ks_p = humbled(ks_tail(ks, rows * usual / (rows + usual)), self.degrees)
        p = min(1.0, 2 * min(p, float(ks_p)))
        words = self._moved_words(shares, ks)
        # One p-value, two effects: the one that is larger for its floor speaks.
        if beyond >= ks:
            yield Finding(self.name, "psi", beyond, p, words)
        else:
            yield Finding(self.name, "ks", ks, p, words)

    def _moved_words(self, shares: Float64, ks: float) -> str:
        index = psi(shares, self.spread.shares, self.known, self.spread.known)
        if np.isnan(ks):
            place = int(np.abs(shares - self.spread.shares).argmax())
            return (
                f"has other shares than in training: PSI {index:.2f}; {self._bin_name(place)} "
                f"{self.spread.shares[place]:.1%} -> {shares[place]:.1%}"
            )
        now, usual = self._median(), self._usual_median()
        return (
            f"is distributed otherwise than in training: PSI {index:.2f}, KS {ks:.2f}; "
            f"median {usual:.4g} -> {now:.4g}"
        )

    def _bin_name(self, place: int) -> str:
        codes = np.flatnonzero(self.spread.bins[:-1] == place)
        return repr(self.spread.categories[codes[0]]) if len(codes) == 1 else "rare categories"

    def _missing(self) -> Iterator[Finding]:
        usual, now = self.spread.nulls / max(self.spread.rows, 1), self.nulls / self.count
        p = _share_p(now, self.null_worth, usual, self.spread.effective_nulls, self.null_degrees)
        hidden = (
            " or of a category never seen" if self.spread.kind == "category" and self.unseen is None else ""
        )
        words = f"is missing{hidden} in {now:.1%} of the rows, in training in {usual:.1%}"
        yield Finding(self.name, "missing", abs(now - usual), p, words)

    def _unseen_categories(self) -> Iterator[Finding]:
        if self.unseen is None or not self.count:
            return
        share = float(self.unseen.mean())
        rows = self._hits_worth(self.unseen)
        usual = self._usual_rows(rows)
        singles = np.ceil(self.spread.singles * usual / max(self.spread.known, 1))
        p = fisher_tail(np.floor(share * rows), np.floor(rows), singles, usual)
        words = f"holds a category that training never saw in {share:.2%} of the rows"
        yield Finding(self.name, "unseen", share, float(p), words)

    def _outside(self, below: float, above: float) -> Iterator[Finding]:
        if self.spread.kind == "category":
            return
        share = below + above
        p = 1.0
        if share > 0:
            out = np.zeros(self.count, np.bool_)
            out[self.has_value] = (self.values < self.spread.lowest) | (self.values > self.spread.highest)
            rows = min(self._hits_worth(out), self.worth)
            counts = np.floor(np.array([below, above]) * rows)
            usual = self._usual_rows(rows)
            p = float(min(1.0, 2 * fisher_tail(counts, np.floor(rows), 0, usual).min()))
        words = (
            f"lies outside of all that training saw in {share:.2%} of the rows: "
            f"{below:.2%} below, {above:.2%} above"
        )
        yield Finding(self.name, "range", share, p, words)

    def _gone(self) -> Float64:
        """The usual shares of the categories that do not occur, as far as they have a bin of their own."""
        if self.spread.kind != "category":
            return np.zeros(0)
        own = np.bincount(self.spread.bins[:-1], minlength=self.spread.bin_count) == 1
        return np.asarray(self.spread.shares[(self.bins == 0) & own & (self.spread.shares > 0)])

    def _vanished(self) -> Iterator[Finding]:
        if self.spread.kind != "category":
            return
        gone = self._gone()
        if not len(gone):
            yield Finding(self.name, "vanished", 0.0, 1.0, "has all its categories")
            return
        rows = self.worth * self.spread.effective / (self.worth + self.spread.effective)
        p = min(1.0, float(binomial_none(gone.max(), rows)) * self.spread.bin_count)
        places = np.flatnonzero((self.bins == 0) & np.isin(self.spread.shares, gone))
        names = ", ".join(self._bin_name(int(place)) for place in places[:3])
        words = f"has lost {names}: {gone.sum():.1%} of the rows in training"
        yield Finding(self.name, "vanished", float(gone.sum()), p, words)

    def _hits_worth(self, hits: Bool) -> float:
        """Independent rows for the share of rows that have something."""
        chosen = self.rows.chosen
        some = hits if chosen is None else hits[chosen]
        per = np.bincount(self.rows.entity, weights=some.astype(np.float64), minlength=self.rows.entities)
        size = np.bincount(self.rows.entity, minlength=self.rows.entities).astype(np.float64)
        return hits_worth(per.astype(np.float64), size) * self.count / max(len(some), 1)

    def _usual_rows(self, rows: float) -> float:
        """Training rows of independent hits: what comes in heaps now would have come in heaps then."""
        each = min(1.0, rows / self.raw_worth) if self.raw_worth > 0 else 1.0
        return max(float(np.floor(self.spread.effective * each)), 1.0)

    def _median(self) -> float:
        if self.spread.kind == "category" or not self.known:
            return float("nan")
        return float(np.median(self.values))

    def _usual_median(self) -> float:
        if self.spread.kind == "category" or not self.spread.points:
            return float("nan")
        return self.spread.points[int(np.searchsorted(self.spread.below, 0.5 - 1e-12))]


def bounded(rows: float, variation: float) -> float:
    """Independent rows once the usual change from week to week counts too."""
    return rows / (1 + rows * variation) if rows > 0 else 0.0


def _shares_p(now: Float64, usual: Float64, rows: float, usual_rows: float, degrees: float) -> float:
    """How likely two samples of the same bins differ so much: Rao and Scott's test, in its F form."""
    pooled = (now * rows + usual * usual_rows) / (rows + usual_rows)
    small = pooled * min(rows, usual_rows) < _LEAST_EXPECTED
    parts = [np.append(part[~small], part[small].sum()) for part in (now, usual, pooled)]
    now, usual, pooled = (part[parts[2] > 0] for part in parts)
    if len(pooled) < 2:
        return 1.0
    statistic = ((now - usual) ** 2 / pooled).sum() * rows * usual_rows / (rows + usual_rows)
    above = len(pooled) - 1
    return float(f_tail(statistic / above, above, degrees))


def _share_p(now: float, rows: float, usual: float, usual_rows: float, degrees: float) -> float:
    """How likely a share differs so much from another; both ways."""
    pooled = (now * rows + usual * usual_rows) / (rows + usual_rows)
    if pooled in (0.0, 1.0):
        return 1.0
    if min(pooled, 1 - pooled) * min(rows, usual_rows) >= _LARGE:
        both = np.array([now, 1 - now]), np.array([usual, 1 - usual])
        return _shares_p(*both, rows, usual_rows, degrees)
    hits, all_rows = round(now * rows), round(rows)
    usual_hits, all_usual = round(usual * usual_rows), round(usual_rows)
    more = fisher_tail(hits, all_rows, usual_hits, all_usual)
    fewer = fisher_tail(usual_hits, all_usual, hits, all_rows)
    return min(1.0, 2 * float(np.minimum(more, fewer)))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
