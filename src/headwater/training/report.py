"""What a training came to, as plain JSON values: for ``headwater train --json`` and for tables.

Called by ``apps``. The figures are those of ``models.metrics``; the manifest is that of the rows.
"""

from __future__ import annotations

from typing import Any

from headwater.core.instant import iso, span_text
from headwater.training.train import TrainedModel


def report(trained: TrainedModel) -> dict[str, Any]:
    """Everything worth telling of a training. Times are ISO 8601, shares and rates are from 0 to 1.

    Returns:
        ``model``, ``definition_hash``, ``rows`` (how they were split), ``evaluation``, ``importance`` (the
        largest first), ``manifest``, ``version`` (null if not registered) and ``notes``.
    """
    split, version, manifest = trained.split, trained.version, trained.training_set.manifest
    return {
        "model": trained.artifact.model,
        "definition_hash": trained.artifact.definition_hash,
        "estimator": type(trained.artifact.estimator).__name__,
        "scorer": trained.scorer.kind,
        "rows": {
            "train": len(split.train),
            "test": len(split.test),
            "skipped": split.skipped,
            "train_from": iso(int(trained.training_set.times[split.train[0]])),
            "test_from": iso(split.test_from),
            "gap": span_text(split.gap) if split.gap else "0d",
        },
        "evaluation": trained.evaluation.to_json(),
        "importance": trained.judged.importance,
        "manifest": {**manifest.to_json(), "digest": manifest.digest},
        "version": None
        if version is None
        else {
            "number": version.number,
            "aliases": list(version.aliases),
            "digest": version.digest,
            "run": version.run,
            "location": version.location,
        },
        "notes": list(trained.notes),
    }
