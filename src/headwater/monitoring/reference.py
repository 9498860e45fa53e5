"""The training reference of a model version: kept in its artifact, or made again for one that has none.

Training writes a :class:`Baseline` beside the estimator (``training.fit``), sealed with the artifact.
Artifacts of older versions have none, and a sealed folder is never changed: their reference is rebuilt from
the training set, which the log gives again to the bit, and kept in a file of its own that names the
artifact's digest and carries a checksum. Called by jobs; read ``drift`` and ``score_drift`` next.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import ModelError, TrainingError
from headwater.models.artifact import Artifact
from headwater.models.baseline import Baseline
from headwater.models.scorer import Scorer
from headwater.training.dataset import TrainingSet
from headwater.training.fit import judged_rows
from headwater.training.split import Split

Float64 = npt.NDArray[np.float64]

_FORMAT = 1


def reference(artifact: Artifact) -> Baseline:
    """What later windows of this model version are held against.

    Raises:
        ModelError: the artifact is of an older version, without a reference.
    """
    if artifact.baseline is None:
        raise ModelError.of(
            f"the model {artifact.model} has no training reference to measure drift against",
            expected="an artifact with baseline.json",
            got="an artifact of an older version",
            do="rebuild the reference from its training set, or train again",
        )
    return artifact.baseline


def rebuilt(artifact: Artifact, training_set: TrainingSet, split: Split, scorer: Scorer) -> Baseline:
    """The reference of an artifact, made from its training set.

    Args:
        artifact: as it was trained; its inputs are used.
        training_set: built again with the bounds of ``artifact.manifest``.
        split: which rows it learned from and was judged on; without rows to judge on there is no reference of
            the score.
        scorer: of the artifact's estimator.

    Raises:
        TrainingError: the training set is another one than the artifact's.
    """
    wanted, found = artifact.manifest.get("checksums"), dict(training_set.manifest.checksums)
    if wanted is not None and dict(wanted) != found:
        differing = sorted(name for name in found if wanted.get(name) != found[name])
        raise TrainingError.of(
            f"this is not the training set of the model {artifact.model}",
            expected="the checksums of its manifest",
            got="other " + ", ".join(differing),
            do="build the training set with the artifact's bounds, definition and log",
        )
    learned = training_set.frame[split.train]
    found_baseline = Baseline.learned_from(
        artifact.inputs.matrix(learned),
        artifact.inputs.names,
        categories=artifact.inputs.categories,
        entities=training_set.entities[split.train],
        times=training_set.times[split.train],
        flows=training_set.flows,
    )
    if not len(split.test):
        return found_baseline
    scores = scorer.score(artifact.inputs.matrix(training_set.frame[split.test]))
    return judged_rows(found_baseline, artifact.inputs, scorer, training_set, split, scores)


def write(baseline: Baseline, path: str | Path, *, digest: str) -> str:
    """Keep a rebuilt reference in a file; its checksum.

    Args:
        baseline: from :func:`rebuilt`.
        path: a file, which is written over.
        digest: of the artifact that it belongs to.
    """
    body = baseline.to_json()
    seal = _seal(body, digest)
    form = {"format": _FORMAT, "artifact": digest, "sha256": seal, "baseline": body}
    Path(path).write_text(_text(form) + "\n", encoding="utf-8")
    return seal


def read(path: str | Path, *, digest: str) -> Baseline:
    """A reference that :func:`write` kept.

    Raises:
        ModelError: it is damaged, or belongs to another artifact.
    """
    try:
        form = json.loads(Path(path).read_text(encoding="utf-8"))
        owner, seal, body = form["artifact"], form["sha256"], form["baseline"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(path, "a file that is no reference") from None
    if owner != digest:
        raise ModelError.of(
            "this is the reference of another model artifact",
            expected=digest,
            got=str(owner),
            where=str(path),
            do="rebuild the reference for this artifact",
        )
    if _seal(body, digest) != seal:
        raise _damaged(path, "other contents")
    return Baseline.from_json(body)


def _seal(body: Any, digest: str) -> str:
    return hashlib.sha256(f"{digest}:{_text(body)}".encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _damaged(path: str | Path, got: str) -> ModelError:
    return ModelError.of(
        "the training reference is damaged",
        expected="what its checksum says",
        got=got,
        where=str(path),
        do="rebuild it from the training set",
    )
