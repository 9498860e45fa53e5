"""Pictures: each is drawn, says its figure, and needs no screen."""

from __future__ import annotations

import io

import numpy as np
import pytest

from headwater.models.metrics import evaluate
from headwater.models.plots import figures

NAMES = ["roc", "precision_recall", "score_distribution", "ks", "calibration", "top_features"]


@pytest.mark.parametrize(("rows", "resamples"), [(2, 0), (5_000, 20)])
def test_all_figures_are_drawn(rows: int, resamples: int) -> None:
    random = np.random.default_rng(0)
    score = np.linspace(0.01, 0.99, rows)
    y = random.random(rows) < score
    y[0], y[-1] = False, True
    evaluation = evaluate(y, score, bootstrap=resamples)
    drawn = figures(y, score, evaluation, {f"feature {i}": 1 / (i + 1) for i in range(30)})
    assert list(drawn) == NAMES
    for figure in drawn.values():
        png = io.BytesIO()
        figure.savefig(png, format="png")
        assert png.getvalue().startswith(b"\x89PNG")
    titles = [figure.axes[0].get_title() for figure in drawn.values()]
    assert titles[0] == f"ROC AUC {evaluation.roc_auc}"
    assert titles[3] == f"KS {evaluation.ks}"
    assert len(drawn["top_features"].axes[0].patches) == 20


def test_without_contributions_there_are_no_top_features() -> None:
    y, score = [0, 1], [0.2, 0.7]
    assert list(figures(y, score, evaluate(y, score, bootstrap=0))) == NAMES[:-1]
