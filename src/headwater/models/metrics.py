"""How good scores are: discrimination, calibration, and what each policy band would have held.

``evaluate`` takes outcomes and probabilities of rows the model has not seen and returns an
:class:`Evaluation`, each figure with a bootstrap interval. Called by ``training.evaluate`` and, on live
outcomes, by ``monitoring``. The statistics themselves are in ``models.ranking`` and ``models.cards``;
the resampling in ``models.bootstrap``; pictures in ``models.plots``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import Problem, TrainingError
from headwater.models.bootstrap import intervals, resamples
from headwater.models.cards import DailyCards
from headwater.models.ranking import Float64, Int64, Ranking, brier, log_loss, quantile_bins

BINS = 10
USUAL_K = (50, 100, 500, 1_000)
_SCALARS = ("roc_auc", "average_precision", "ks", "brier", "log_loss", "calibration_error")


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure with its 95 % bootstrap interval; NaN where it was not, or could not be, resampled."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{self.value:.4f}"
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"

    def to_json(self) -> list[float | None]:
        """Value, low, high; null for NaN."""
        return [figure if math.isfinite(figure) else None for figure in (self.value, self.low, self.high)]


@dataclass(frozen=True, slots=True)
class Bin:
    """One step of the calibration curve: rows whose scores lie from ``lowest`` to ``highest``."""

    lowest: float
    highest: float
    rows: int
    predicted: float
    observed: Metric


@dataclass(frozen=True, slots=True)
class Band:
    """One outcome of a policy: how many rows fell into it, and how many of them were positive."""

    name: str
    lowest: float
    rows: int
    positives: int
    share: Metric
    rate: Metric


@dataclass(frozen=True)
class Evaluation:
    """What the scores of one set of rows are worth. Higher is better but for the last three scalars.

    Attributes:
        rows, positives, entities: what was judged; ``entities`` is the number of resampled groups.
        roc_auc, average_precision, ks: discrimination.
        brier, log_loss: distance of the probabilities from the outcomes.
        calibration_error: mean distance of predicted from observed over the calibration bins.
        calibration: bins of about equal size, by rising score.
        precision_at_k: share of positives among the k highest scores.
        card_precision: mean share, per day, of positive entities among the k highest-scored.
        bands: per policy band, from the lowest to the highest score.
        resamples, seed: of the bootstrap.
    """

    rows: int
    positives: int
    entities: int
    roc_auc: Metric
    average_precision: Metric
    ks: Metric
    brier: Metric
    log_loss: Metric
    calibration_error: Metric
    calibration: tuple[Bin, ...] = ()
    precision_at_k: Mapping[int, Metric] = field(default_factory=dict)
    card_precision: Mapping[int, Metric] = field(default_factory=dict)
    bands: tuple[Band, ...] = ()
    resamples: int = 0
    seed: int = 0

    @property
    def rate(self) -> float:
        """The share of positives: the average precision of a score that knows nothing."""
        return self.positives / self.rows

    def scalars(self) -> dict[str, Metric]:
        """Every single figure by a flat name, such as ``roc_auc`` or ``precision_at_100``."""
        figures = {name: getattr(self, name) for name in _SCALARS}
        figures |= {f"precision_at_{k}": metric for k, metric in self.precision_at_k.items()}
        figures |= {f"card_precision_at_{k}": metric for k, metric in self.card_precision.items()}
        for band in self.bands:
            figures[f"band_{band.name}_share"] = band.share
            figures[f"band_{band.name}_rate"] = band.rate
        return figures

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; each figure is its value, low and high, null where there is none."""
        return {
            "rows": self.rows,
            "positives": self.positives,
            "entities": self.entities,
            "resamples": self.resamples,
            "seed": self.seed,
            "figures": {name: metric.to_json() for name, metric in self.scalars().items()},
            "calibration": [
                {
                    "lowest": step.lowest,
                    "highest": step.highest,
                    "rows": step.rows,
                    "predicted": step.predicted,
                    "observed": step.observed.to_json(),
                }
                for step in self.calibration
            ],
            "bands": [
                {
                    "name": band.name,
                    "lowest": band.lowest,
                    "rows": band.rows,
                    "positives": band.positives,
                    "share": band.share.to_json(),
                    "rate": band.rate.to_json(),
                }
                for band in self.bands
            ],
        }


def evaluate(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    by: npt.ArrayLike | None = None,
    times: npt.ArrayLike | None = None,
    bands: Mapping[str, float] | None = None,
    at: Sequence[int] | None = None,
    cards_at: Sequence[int] = (),
    bootstrap: int = 200,
    seed: int = 0,
) -> Evaluation:
    """Judge probabilities against outcomes.

    Args:
        y: shape (n,), 0 and 1 (or booleans): what came true.
        score: float64, shape (n,), probabilities of the positive class.
        by: shape (n,), the entity of each row (any type that sorts); entities are resampled whole. None
            resamples rows.
        times: int64 microseconds UTC, shape (n,); needed by ``cards_at``.
        bands: outcome -> lowest score, rising, as in ``hw.Policy``.
        at: the k of precision at k; by default 50, 100, 500 and 1,000, as far as there are rows.
        cards_at: the k of the daily card precision (``models.cards``); needs ``by`` and ``times``.
        bootstrap: resamples; 0 leaves the intervals out.
        seed: of the bootstrap.

    Raises:
        TrainingError: the outcomes are not 0 and 1 or hold one class only, a score is no probability, or
            the lengths differ.

    Example:
        >>> judged = evaluate([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], bootstrap=0)
        >>> judged.roc_auc.value, judged.ks.value
        (0.75, 0.5)
    """
    label, scores = _checked(y, score, at, cards_at, by, times)
    groups = np.arange(len(label)) if by is None else np.unique(np.asarray(by), return_inverse=True)[1]
    wanted = [k for k in USUAL_K if k <= len(label)] if at is None else list(at)
    panel = _Panel(Ranking.of(label, scores), wanted, bands or {})
    cards = DailyCards.of(label, scores, groups, np.asarray(times, np.int64)) if cards_at else None

    figures = _resampled(panel, cards, cards_at, groups, bootstrap, seed)
    metrics = _metrics(panel.figures(None), cards, cards_at, figures)
    return panel.evaluation(metrics, cards_at, int(groups.max()) + 1, bootstrap, seed)


def _resampled(
    panel: _Panel, cards: DailyCards | None, cards_at: Sequence[int], groups: Int64, times: int, seed: int
) -> Float64:
    """Figures of each resample, shape (resamples, figures): the panel's, then the card precisions."""
    figures = np.full((times, panel.size + len(cards_at)), np.nan)
    for row, weight in enumerate(resamples(groups, times, seed)):
        figures[row, : panel.size] = panel.figures(weight[panel.ranking.order])
        if cards is not None:
            figures[row, panel.size :] = [cards.precision(k, cards.weights(weight)) for k in cards_at]
    return figures


def _metrics(
    point: Float64, cards: DailyCards | None, cards_at: Sequence[int], figures: Float64
) -> list[Metric]:
    exact = [*point, *(cards.precision(k) for k in cards_at)] if cards is not None else list(point)
    low, high = intervals(figures) if len(figures) else (np.full(len(exact), np.nan),) * 2
    return [Metric(float(v), float(a), float(b)) for v, a, b in zip(exact, low, high, strict=True)]


class _Panel:
    """All figures that follow from one ranking, as one vector, so that a resample is one call."""

    def __init__(self, ranking: Ranking, at: Sequence[int], bands: Mapping[str, float]) -> None:
        self.ranking = ranking
        self.at = at
        self.bands = bands
        self.losses = (brier(ranking), log_loss(ranking))
        self.bins = np.append(quantile_bins(ranking, BINS), len(ranking))
        lowest = np.array(list(bands.values())[::-1], np.float64)
        edges = np.searchsorted(-ranking.score, -lowest, side="right")
        self.cuts = np.concatenate([[0], edges]).astype(np.int64)
        self.size = len(_SCALARS) + len(at) + len(self.bins) - 1 + 2 * len(bands)

    def figures(self, weight: Float64 | None) -> Float64:
        """Scalars, precisions at k, observed rate per bin, then share and rate per band; shape (size,)."""
        ranking = self.ranking
        steps = ranking.steps(weight)
        if steps.one_class():
            return np.full(self.size, np.nan)
        each = np.ones(len(ranking)) if weight is None else weight
        total, positive = each.sum(), each * ranking.label
        losses = [float(each @ loss) / total for loss in self.losses]
        observed, error = self._calibration(each, positive)
        return np.array(
            [
                *(steps.roc_auc(), steps.average_precision(), steps.ks(), *losses, error),
                *(steps.precision_at(k) for k in self.at),
                *observed,
                *(_between(each, self.cuts) / total),
                *_ratio(_between(positive, self.cuts), _between(each, self.cuts)),
            ]
        )

    def _calibration(self, each: Float64, positive: Float64) -> tuple[Float64, float]:
        """Observed rate per bin, and the mean distance of predicted from observed."""
        weight = _between(each, self.bins)
        observed = _ratio(_between(positive, self.bins), weight)
        predicted = _ratio(_between(each * self.ranking.score, self.bins), weight)
        return observed, float(np.nansum(np.abs(observed - predicted) * weight) / weight.sum())

    def evaluation(
        self, metrics: Sequence[Metric], cards_at: Sequence[int], entities: int, resamples: int, seed: int
    ) -> Evaluation:
        """Name what ``figures`` put in a row."""
        rest = iter(metrics)
        scalars = {name: next(rest) for name in _SCALARS}
        precision = {k: next(rest) for k in self.at}
        bins = tuple(self._bins(rest))[::-1]
        shares = [next(rest) for _ in self.bands]
        rates = [next(rest) for _ in self.bands]
        return Evaluation(
            rows=len(self.ranking),
            positives=int(self.ranking.label.sum()),
            entities=entities,
            **scalars,
            calibration=bins,
            precision_at_k=precision,
            card_precision={k: next(rest) for k in cards_at},
            bands=tuple(self._bands(shares, rates))[::-1],
            resamples=resamples,
            seed=seed,
        )

    def _bins(self, observed: Iterator[Metric]) -> Iterator[Bin]:
        score = self.ranking.score
        for start, stop in zip(self.bins[:-1], self.bins[1:], strict=True):
            inside = score[start:stop]
            yield Bin(
                float(inside[-1]), float(inside[0]), int(stop - start), float(inside.mean()), next(observed)
            )

    def _bands(self, shares: Sequence[Metric], rates: Sequence[Metric]) -> Iterator[Band]:
        falling = list(self.bands.items())[::-1]
        for place, (name, lowest) in enumerate(falling):
            inside = self.ranking.label[self.cuts[place] : self.cuts[place + 1]]
            yield Band(name, lowest, len(inside), int(inside.sum()), shares[place], rates[place])


def _between(values: Float64, cuts: Int64) -> Float64:
    """Sums of ``values`` between consecutive places; empty stretches give 0."""
    return np.diff(np.concatenate([[0.0], np.cumsum(values)])[cuts])


def _ratio(above: Float64, below: Float64) -> Float64:
    return np.asarray(np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0))


def _checked(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    at: Sequence[int] | None,
    cards_at: Sequence[int],
    by: npt.ArrayLike | None,
    times: npt.ArrayLike | None,
) -> tuple[Float64, Float64]:
    label, scores = np.asarray(y, np.float64), np.asarray(score, np.float64)
    TrainingError.raise_if(_problems(label, scores, at, cards_at, by, times))
    return label, scores


def _problems(
    label: Float64,
    score: Float64,
    at: Sequence[int] | None,
    cards_at: Sequence[int],
    by: npt.ArrayLike | None,
    times: npt.ArrayLike | None,
) -> Iterator[Problem]:
    if len(label) != len(score):
        yield Problem(
            "outcomes and scores differ in number", f"{len(label)} scores", str(len(score)), do="pass both"
        )
        return
    known = np.isin(label, (0.0, 1.0))
    if not known.all():
        yield Problem(
            "an outcome is neither 0 nor 1",
            "0, 1, false or true",
            str(label[~known][0]),
            f"row {np.flatnonzero(~known)[0]}",
            "leave out rows whose outcome is not known",
        )
    elif label.sum() in (0, len(label)):
        yield Problem(
            "the rows to evaluate on hold one class only",
            "positives and negatives",
            f"{int(label.sum())} positives in {len(label)} rows",
            do="evaluate over a longer time, or look at the label's condition",
        )
    odd = ~((score >= 0) & (score <= 1))
    if odd.any():
        yield Problem(
            "a score is not a probability",
            "a number from 0 to 1",
            str(score[odd][0]),
            f"row {np.flatnonzero(odd)[0]}",
            "score with predict_proba",
        )
    for k in [*(at or ()), *cards_at]:
        if k < 1 or (k > len(label) and k not in cards_at):
            yield Problem(
                "precision at k needs at least k rows",
                f"k from 1 to {len(label)}",
                str(k),
                do="choose a smaller k",
            )
    if cards_at and (by is None or times is None):
        yield Problem(
            "card precision needs the entity and the time of each row",
            "by= and times=",
            "by" if times is None else "times",
            do="pass both",
        )
