"""Pictures of an evaluation, as matplotlib figures that need no screen.

Six figures: how the model separates (ROC, precision and recall, score distributions, KS), how far its
probabilities can be trusted (calibration), and what it looks at (top features). Called by
``training.report``; kept with the run by ``models.registry``. Figures are made without pyplot, so nothing is
global and nothing has to be closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from headwater.models.metrics import Evaluation
from headwater.models.ranking import Float64, Ranking

_SIZE = (5.6, 4.2)
_BLUE, _RED, _GREY = "#2b6ca3", "#b5482f", "#8a8f98"
_FRAME = (0.13, 0.13, 0.83, 0.79)  # fixed: an automatic layout draws everything twice
_POINTS = 2_000
_MOST_FEATURES = 20


def figures(
    y: npt.ArrayLike,
    score: npt.ArrayLike,
    evaluation: Evaluation,
    importance: Mapping[str, float] | None = None,
) -> dict[str, Figure]:
    """All figures of one evaluation, by the file name that each should get.

    Args:
        y: shape (n,), 0 and 1.
        score: float64, shape (n,), probabilities.
        evaluation: of these rows.
        importance: input to its mean absolute contribution; without it no ``top_features``.
    """
    ranking = Ranking.of(y, score)
    drawn = {
        "roc": roc(ranking, evaluation),
        "precision_recall": precision_recall(ranking, evaluation),
        "score_distribution": score_distribution(ranking),
        "ks": ks(ranking, evaluation),
        "calibration": calibration(evaluation),
    }
    return drawn if importance is None else {**drawn, "top_features": top_features(importance)}


def roc(ranking: Ranking, evaluation: Evaluation) -> Figure:
    """True positive rate against false positive rate."""
    false, true = ranking.steps().roc()
    figure, axes = _blank(f"ROC AUC {evaluation.roc_auc}", "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1, linestyle="--")
    axes.plot(*_thinned(false, true), color=_BLUE)
    return figure


def precision_recall(ranking: Ranking, evaluation: Evaluation) -> Figure:
    """Precision against recall; the dashed line is a score that knows nothing."""
    precision, recall = ranking.steps().precision_recall()
    figure, axes = _blank(f"Average precision {evaluation.average_precision}", "recall", "precision")
    axes.axhline(evaluation.rate, color=_GREY, linewidth=1, linestyle="--")
    axes.step(*_thinned(recall, precision), where="post", color=_BLUE)
    axes.set_ylim(0, 1.02)
    return figure


def score_distribution(ranking: Ranking) -> Figure:
    """How often each score was given, to negatives and to positives."""
    figure, axes = _blank("Scores by outcome", "score", "share of the class")
    edges = np.linspace(0, max(float(ranking.score[0]), 1e-12), 41)
    for label, name, colour in ((0.0, "negative", _BLUE), (1.0, "positive", _RED)):
        scores = ranking.score[ranking.label == label]
        weights = np.full(len(scores), 1 / max(len(scores), 1))
        axes.hist(scores, edges.tolist(), weights=weights, color=colour, alpha=0.6, label=name)
    axes.set_yscale("log")
    axes.legend(frameon=False)
    return figure


def ks(ranking: Ranking, evaluation: Evaluation) -> Figure:
    """The two cumulative distributions whose widest gap is the KS statistic."""
    false, true = ranking.steps().roc()
    score = np.concatenate([ranking.score[:1], ranking.score[ranking.ends]])
    figure, axes = _blank(f"KS {evaluation.ks}", "score", "share that scores lower")
    for rate, name, colour in ((false, "negative", _BLUE), (true, "positive", _RED)):
        axes.plot(*_thinned(score, 1 - rate), color=colour, label=name)
    widest = int(np.argmax(np.abs(true - false)))
    axes.vlines(score[widest], 1 - true[widest], 1 - false[widest], color=_GREY, linestyle="--")
    axes.legend(frameon=False, loc="lower right")
    return figure


def calibration(evaluation: Evaluation) -> Figure:
    """Observed against predicted rate in bins of equal size, with intervals."""
    bins = evaluation.calibration
    predicted = np.array([b.predicted for b in bins])
    observed = np.array([b.observed.value for b in bins])
    figure, axes = _blank(
        f"Calibration error {evaluation.calibration_error}", "predicted probability", "observed rate"
    )
    top = float(max(predicted.max(), np.nanmax(observed))) * 1.05
    axes.plot([0, top], [0, top], color=_GREY, linewidth=1, linestyle="--")
    low = np.array([b.observed.low for b in bins])
    high = np.array([b.observed.high for b in bins])
    spread = np.nan_to_num(np.maximum([observed - low, high - observed], 0))
    axes.errorbar(predicted, observed, yerr=spread, color=_BLUE, marker="o", markersize=4, capsize=2)
    return figure


def top_features(importance: Mapping[str, float]) -> Figure:
    """The inputs that move the score most, by mean absolute contribution."""
    ordered: Sequence[tuple[str, float]] = sorted(importance.items(), key=lambda item: -item[1])
    shown = ordered[:_MOST_FEATURES][::-1]
    figure, axes = _blank("What the score looks at", "mean absolute contribution", "")
    axes.tick_params(axis="y", labelsize=8)
    axes.barh([name for name, _ in shown], [value for _, value in shown], color=_BLUE)
    axes.set_position((0.36, 0.13, 0.6, 0.79))
    return figure


def _blank(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, dpi=90)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(_FRAME)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _thinned(across: Float64, up: Float64) -> tuple[Float64, Float64]:
    """At most some thousand points of a curve, both ends kept: more cannot be seen."""
    if len(across) <= _POINTS:
        return across, up
    place = np.unique(np.linspace(0, len(across) - 1, _POINTS).astype(np.int64))
    return across[place], up[place]
