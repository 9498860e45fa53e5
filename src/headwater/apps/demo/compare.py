"""The same decisions, scored fresh, scored last night, and as they truly were: what freshness is worth.

All three are judged on the same rows with the same labels, looked up in the same log by the same engine. The
nightly score is that of the same model on the features as of the last four in the morning before the
decision, after the bank's night run, as a batch would have it. Called by ``run``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.apps.demo.going_live import LiveRun
from headwater.apps.demo.lender.risk import TrueRisk
from headwater.core.batch import Batch
from headwater.core.instant import DAY, HOUR
from headwater.definitions.policy import Policy
from headwater.log.protocol import EventLog
from headwater.models.bootstrap import intervals, resamples
from headwater.models.metrics import Metric
from headwater.models.ranking import Ranking
from headwater.serving.scoring import Scoring
from headwater.training.dataset import features
from headwater.training.history import gather, streams_of
from headwater.training.labels import gap, labels
from headwater.training.spine import Spine

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NIGHTLY = 4 * HOUR  # when the batch runs
RESAMPLES = 100


@dataclass(frozen=True)
class Comparison:
    """What freshness is worth.

    Attributes:
        mature: of all refreshes, those whose label is known by now, shape (n,).
        y: labels of the mature ones, shape (m,).
        nightly: last night's score, shape (n,).
        fresh_band, nightly_band: number of the band, shape (n,).
        auc: of ``model``, ``true_risk`` and ``nightly``, and ``gain`` of fresh over nightly, with 95 %
            intervals; accounts are resampled whole. Empty if no outcomes of both kinds are known.
        replayed: refreshes whose feature vector replay gives to the bit, of all n.
    """

    mature: Mask
    y: Float64
    nightly: Float64
    fresh_band: Int64
    nightly_band: Int64
    auc: Mapping[str, Metric]
    replayed: int


def last_night(moment: Int64) -> Int64:
    """The last four in the morning, UTC, up to each moment."""
    return (moment - NIGHTLY) // DAY * DAY + NIGHTLY


def compare(run: LiveRun, log: EventLog, scoring: Scoring, policy: Policy, risk: TrueRisk) -> Comparison:
    """Judge the live part once its labels are known."""
    model = scoring.model
    batches = gather(log, streams_of(model), model.keys)
    nightly, replayed = _again(run, scoring, batches)
    mature = run.time + gap(model.label) <= log.arrival()
    judged = Spine(_keys(run.account[mature]), run.time[mature], run.time[mature], pl.DataFrame())
    y = labels(model, batches, judged)
    true = risk(run.account[mature], run.time[mature], model.label.horizon)
    auc = _aucs(
        y, run.account[mature], {"model": run.score[mature], "true_risk": true, "nightly": nightly[mature]}
    )
    return Comparison(mature, y, nightly, _bands(policy, run.score), _bands(policy, nightly), auc, replayed)


def _again(run: LiveRun, scoring: Scoring, batches: Mapping[str, Batch]) -> tuple[Float64, int]:
    """Last night's scores, and how many vectors replay gives to the bit, in one pass over the log."""
    night = last_night(run.arrival)
    pairs = np.unique(np.column_stack([run.account, night]), axis=0, return_inverse=True)
    distinct, place = pairs[0], pairs[1].ravel()
    account = np.concatenate([run.account, distinct[:, 0]])
    time = np.concatenate([run.time, distinct[:, 1]])
    known = np.concatenate([np.maximum(run.arrival, run.time), distinct[:, 1]])
    spine = Spine(_keys(account), time, known, pl.DataFrame())
    X = scoring.artifact.inputs.matrix(features(scoring.model, batches, spine))
    n = len(run.score)
    same = (X[:n].view(np.int64) == run.x.view(np.int64)) | (np.isnan(X[:n]) & np.isnan(run.x))
    return scoring.scorer.score(X[n:])[place], int(same.all(axis=1).sum())


def _keys(account: Int64) -> pl.DataFrame:
    return pl.DataFrame({"account_id": account})


def _bands(policy: Policy, scores: Float64) -> Int64:
    return np.searchsorted(list(policy.bands.values()), scores, side="right") - 1


def _aucs(y: Float64, account: Int64, scores: Mapping[str, Float64]) -> dict[str, Metric]:
    if not 0 < y.sum() < len(y):
        return {}
    rankings = {name: Ranking.of(y, score) for name, score in scores.items()}
    groups = np.unique(account, return_inverse=True)[1]
    drawn = np.array(
        [
            [ranking.steps(weight[ranking.order]).roc_auc() for ranking in rankings.values()]
            for weight in resamples(groups, RESAMPLES, seed=0)
        ]
    )
    values = [ranking.steps().roc_auc() for ranking in rankings.values()]
    names = [*rankings, "gain"]
    fresh, stale = names.index("model"), names.index("nightly")
    values.append(values[fresh] - values[stale])
    low, high = intervals(np.column_stack([drawn, drawn[:, fresh] - drawn[:, stale]]))
    return {
        name: Metric(float(v), float(a), float(b))
        for name, v, a, b in zip(names, values, low, high, strict=True)
    }
