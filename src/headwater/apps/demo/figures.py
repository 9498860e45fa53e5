"""From what was measured to the figures of the page, as plain JSON values.

Called by ``run``; shown by ``page``. Times are ISO 8601, spans are seconds (latencies: microseconds), shares
are from 0 to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from headwater.apps.demo.compare import Comparison, last_night
from headwater.apps.demo.going_live import LiveRun
from headwater.apps.demo.lender.simulation import Lender
from headwater.core.instant import DAY, HOUR, SECOND, iso
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.serving.decide import Decider
from headwater.serving.replay import Replayed
from headwater.store.decision import Reason
from headwater.training.train import TrainedModel

Json = dict[str, Any]


def of_training(trained: TrainedModel) -> Json:
    """What the model learned from, and what it was worth on the last of the past."""
    return {
        "rows": len(trained.split.train),
        "tested_on": len(trained.split.test),
        "test_auc": trained.evaluation.roc_auc.to_json(),
        "estimator": type(trained.artifact.estimator).__name__,
        "inputs": len(trained.artifact.inputs.names),
        "version": trained.version.number if trained.version else None,
    }


def of_live(run: LiveRun) -> Json:
    """Throughput, freshness, late events."""
    late = run.late[run.late > 0]
    whole = run.appended + run.refreshed
    return {
        "events": len(run.score),
        "seconds": run.seconds,
        "events_per_second": len(run.score) / run.seconds,
        "accounts": len(np.unique(run.account)),
        "append_us": _spread(run.appended),
        "fresh_us": _spread(run.refreshed),
        "append_to_fresh_us": _spread(whole),
        "delayed": int((run.arrival - (run.time - run.late) > HOUR).sum()),
        "late": len(late),
        "latest_seconds": int(late.max(initial=0)) / SECOND,
        "late_moved": int((run.moved > 0).sum()),
    }


def of_worth(run: LiveRun, judged: Comparison, policy: Policy) -> Json:
    """What freshness is worth: the same decisions by the fresh score and by last night's."""
    fresh, stale = judged.fresh_band[judged.mature], judged.nightly_band[judged.mature]
    account, worst = run.account[judged.mature], len(policy.bands) - 1
    charged = judged.y > 0
    missed = charged & (fresh == worst) & (stale < worst)
    age = run.arrival[judged.mature] - last_night(run.arrival[judged.mature])
    return {
        "decisions": len(judged.y),
        "charged": int(charged.sum()),
        "auc": {name: metric.to_json() for name, metric in judged.auc.items()},
        "bands": list(policy.bands),
        "other_band": int((fresh != stale).sum()),
        "too_mild": int((stale < fresh).sum()),
        "too_harsh": int((stale > fresh).sum()),
        "caught_fresh": int((charged & (fresh == worst)).sum()),
        "caught_nightly": int((charged & (stale == worst)).sum()),
        "accounts_charged": len(np.unique(account[charged])),
        "accounts_missed": len(np.unique(account[missed])),
        "nightly_age_hours": float(np.median(age)) / HOUR if len(age) else None,
        "refreshes": len(run.score),
        "replayed_same": judged.replayed,
    }


def telling(run: LiveRun, judged: Comparison, policy: Policy) -> int | None:
    """The decision to tell of: last night's score would have got it wrong, and it came true; else any.

    Among those the one whose score had risen most since last night. None if nothing was decided.
    """
    rows = [run.row(record) for record in run.records]
    charged = np.zeros(len(run.score), dtype=bool)
    charged[np.flatnonzero(judged.mature)[judged.y > 0]] = True
    stale = judged.nightly_band < len(policy.bands) - 1
    best = [row for row in rows if charged[row] and stale[row]] or rows
    return max(best, key=lambda row: float(run.score[row] - judged.nightly[row]), default=None)


def of_decision(row: int, replayed: Replayed, judged: Comparison, decider: Decider, lender: Lender) -> Json:
    """One decision, what it was based on, what came of it, and its replay."""
    decision, model = replayed.then, decider.scoring.model
    nightly = float(judged.nightly[row])
    account = decision.keys["account_id"]
    charged = _charged_after(lender, account, decision.time)
    return {
        "account": account,
        "decided_at": iso(decision.decided_at // SECOND * SECOND),
        "offset": decision.offset,
        "score": decision.score,
        "band": decision.band,
        "nightly_score": nightly,
        "nightly_band": decider.policy.band(nightly),
        "reasons": [_worded(model, reason) for reason in decision.reasons],
        "charged_days_later": None if charged is None else charged / DAY,
        "definition": decision.definition_hash,
        "model_digest": decision.model_digest,
        "policy": decision.policy_hash,
        "replay": {
            "same": replayed.same,
            "events": replayed.events,
            "features": len(decision.features),
            "score_then": decision.score.hex(),
            "score_now": replayed.now.score.hex(),
        },
    }


def _spread(nanoseconds: np.ndarray) -> Json:
    if not len(nanoseconds):
        return {"p50": None, "p99": None, "max": None}
    p50, p99, most = np.percentile(nanoseconds, [50, 99, 100]) / 1_000
    return {"p50": float(p50), "p99": float(p99), "max": float(most)}


def _charged_after(lender: Lender, account: int, moment: int) -> int | None:
    """Microseconds from a moment to the account's next sanction interest."""
    booked = lender.events["transactions"].filter(
        (pl.col("account_id") == account) & (pl.col("purpose") == "sanction_interest")
    )
    times = booked["booked_at"].to_physical().to_numpy()
    after = times[times > moment]
    return int(after.min()) - moment if len(after) else None


def _worded(model: Model, reason: Reason) -> Json:
    """A reason with its value and what is usual as a person reads them."""
    return {
        "text": reason.text,
        "feature": reason.feature,
        "value": in_words(model, reason.feature, reason.value),
        "usual": in_words(model, reason.feature, reason.reference),
        "contribution": reason.contribution,
    }


def in_words(model: Model, feature: str, value: float | str | None) -> str:
    """A feature's value with its unit.

    Example:
        >>> from headwater.apps.demo.project import early_warning
        >>> in_words(early_warning, "since_salary", 3024000.0), in_words(early_warning, "income", None)
        ('35 days', 'none')
    """
    if value is None or isinstance(value, str):
        return value or "none"
    ops = {output.name: output.aggregate.op for view in model.features for output in view.outputs}
    if ops.get(feature, "").startswith("since"):
        return f"{value / 86_400:,.0f} days"
    if model.columns[feature] == pl.Boolean:
        return "yes" if value else "no"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.2f}"
