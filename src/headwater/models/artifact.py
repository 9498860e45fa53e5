"""A trained model as a folder that explains itself, with a seal that is checked before it is used.

    artifact.json      name, definition, inputs, references, manifest, metrics, versions, file checksums
    estimator.joblib   the fitted estimator
    columns.arrow      the columns that the inputs are read from, as an empty table
    background.npy     training rows that explanations compare with
    baseline.json      what inputs, scores and streams were like; absent from artifacts of older versions
    SEAL               SHA-256 of artifact.json

The seal is the artifact's digest: it is stamped on the registered version and on every decision. Nothing
is unpickled before all checksums fit; but a seal only says that the folder is the one that was saved, not
who saved it, so load no artifact from a stranger. Written by ``training``, kept by ``models.registry``,
read by ``serving`` and replay.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pickle import PicklingError
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.exceptions import InconsistentVersionWarning

from headwater.core.errors import ModelError, Problem
from headwater.models.baseline import Baseline
from headwater.models.inputs import Inputs
from headwater.models.reference import Reference

Float64 = npt.NDArray[np.float64]

FORMAT = 1
SEAL = "SEAL"
LIBRARIES = ("headwater", "polars", "numpy", "scikit-learn")
_FACTS, _ESTIMATOR, _COLUMNS, _BACKGROUND, _BASELINE = (
    "artifact.json",
    "estimator.joblib",
    "columns.arrow",
    "background.npy",
    "baseline.json",
)


@dataclass(frozen=True)
class Artifact:
    """A fitted model with all that scoring, explaining and auditing it takes.

    Attributes:
        model: the model's name.
        definition_hash: of the definition that it was trained from.
        definition: that definition in canonical form, plain JSON values.
        inputs: from a frame to the matrix that the estimator sees.
        estimator: fitted; column 1 of its ``predict_proba`` is the score.
        references: input to what was usual in training.
        background: float64, shape (m, f): training rows for explanations.
        manifest: of the training set, plain JSON values.
        metrics: of the evaluation, flat name to value; may be empty.
        versions: library to the version that trained it.
        baseline: what ``monitoring`` holds later windows against; None in artifacts of older versions.
    """

    model: str
    definition_hash: str
    definition: Mapping[str, Any]
    inputs: Inputs
    estimator: Any
    references: Mapping[str, Reference]
    background: Float64
    manifest: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    baseline: Baseline | None = None

    def save(self, folder: str | Path) -> str:
        """Write the artifact into a new or empty folder.

        Returns:
            Its digest.

        Raises:
            ModelError: the folder holds something already, or the estimator cannot be stored.
        """
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        if any(home.iterdir()):
            raise ModelError.of(
                "an artifact is never written over another",
                expected="a new or empty folder",
                got=str(home),
                do="choose another folder",
            )
        self._write_parts(home)
        seals = {part.name: _sha256(part) for part in home.iterdir()}
        text = json.dumps(_plain({**self._facts(), "files": seals}), indent=1, sort_keys=True)
        (home / _FACTS).write_text(text + "\n", encoding="utf-8")
        digest = _sha256(home / _FACTS)
        (home / SEAL).write_text(digest + "\n", encoding="utf-8")
        return digest

    def _write_parts(self, home: Path) -> None:
        try:
            joblib.dump(self.estimator, home / _ESTIMATOR, protocol=5)
        except (TypeError, AttributeError, ValueError, PicklingError) as error:
            raise ModelError.of(
                "the estimator cannot be stored",
                expected="an estimator that can be pickled",
                got=f"{type(error).__name__}: {error}",
                do="leave lambdas and local classes out of it",
            ) from error
        pl.DataFrame(schema=dict(self.inputs.types)).write_ipc(home / _COLUMNS)
        np.save(home / _BACKGROUND, self.background, allow_pickle=False)
        if self.baseline is not None:
            text = json.dumps(_plain(self.baseline.to_json()), sort_keys=True, separators=(",", ":"))
            (home / _BASELINE).write_text(text + "\n", encoding="utf-8")

    def _facts(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "model": self.model,
            "definition_hash": self.definition_hash,
            "definition": self.definition,
            "inputs": self.inputs.to_json(),
            "references": {name: asdict(reference) for name, reference in self.references.items()},
            "manifest": self.manifest,
            "metrics": self.metrics,
            "versions": self.versions or versions(self.estimator),
        }

    def changes(self) -> tuple[str, ...]:
        """Libraries whose version is another than at training: scores may differ in the last bits."""
        now = versions(self.estimator)
        return tuple(
            f"{name} {then} -> {now.get(name, 'gone')}"
            for name, then in self.versions.items()
            if now.get(name) != then
        )


def load(folder: str | Path, *, definition_hash: str | None = None, digest: str | None = None) -> Artifact:
    """Read an artifact, all checksums checked before anything is unpickled.

    Args:
        folder: where ``Artifact.save`` wrote it.
        definition_hash: refuse an artifact of another definition; None takes any.
        digest: refuse another artifact than this one, as the registry or a decision names it.

    Raises:
        ModelError: incomplete, damaged, of another definition, or not readable with these libraries.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        ...
        headwater.core.errors.ModelError: there is no model artifact here
          expected: a folder with artifact.json and SEAL
          got:      no/such/folder
          do:       train the model, or look at the path
    """
    home = Path(folder)
    facts = _trusted(home, digest)
    ModelError.raise_if(_definition_problems(facts, definition_hash))
    columns = pl.read_ipc(home / _COLUMNS)
    return Artifact(
        model=facts["model"],
        definition_hash=facts["definition_hash"],
        definition=facts["definition"],
        inputs=Inputs.from_json(facts["inputs"], columns.schema),
        estimator=_estimator(home / _ESTIMATOR, facts["versions"]),
        references={name: _reference(form) for name, form in facts["references"].items()},
        background=np.load(home / _BACKGROUND, allow_pickle=False),
        manifest=facts["manifest"],
        metrics={name: math.nan if value is None else value for name, value in facts["metrics"].items()},
        versions=facts["versions"],
        baseline=_baseline(home / _BASELINE) if _BASELINE in facts["files"] else None,
    )


def read_digest(folder: str | Path) -> str:
    """The digest that a saved artifact claims; :func:`load` checks it."""
    return (Path(folder) / SEAL).read_text(encoding="utf-8").strip()


def versions(estimator: Any) -> dict[str, str]:
    """The versions that decide how a model scores: Python, ours, and of the estimator's library."""
    libraries = {"lightgbm": "lightgbm", "xgboost": "xgboost-cpu"}
    root = type(estimator).__module__.partition(".")[0]
    names = [*LIBRARIES, *([libraries[root]] if root in libraries else [])]
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # xgboost comes under two names
        return version(name.removesuffix("-cpu")) if name.endswith("-cpu") else "unknown"


def _trusted(home: Path, digest: str | None) -> dict[str, Any]:
    """The facts, once every file is what the seal says."""
    if not (home / _FACTS).is_file() or not (home / SEAL).is_file():
        raise ModelError.of(
            "there is no model artifact here",
            expected=f"a folder with {_FACTS} and {SEAL}",
            got=str(home),
            do="train the model, or look at the path",
        )
    seal = read_digest(home)
    if digest is not None and seal != digest:
        raise ModelError.of(
            "this is another model artifact than the one asked for",
            expected=digest,
            got=seal,
            where=str(home / SEAL),
            do="restore the folder from a copy, or train again",
        )
    _need(home / _FACTS, seal)
    facts: dict[str, Any] = json.loads((home / _FACTS).read_text(encoding="utf-8"))
    if facts["format"] != FORMAT:
        raise ModelError.of(
            "the artifact was written by another version of Headwater",
            expected=f"format {FORMAT}",
            got=f"format {facts['format']}",
            where=str(home / _FACTS),
            do="use the version that wrote it, or train again",
        )
    for name, expected in facts["files"].items():
        _need(home / name, expected)
    return facts


def _need(path: Path, expected: str) -> None:
    found = _sha256(path) if path.is_file() else "no file"
    if found != expected:
        raise ModelError.of(
            "the model artifact is damaged",
            expected=f"SHA-256 {expected}",
            got=found,
            where=str(path),
            do="restore the folder from a copy, or train again",
        )


def _definition_problems(facts: Mapping[str, Any], wanted: str | None) -> Iterator[Problem]:
    if wanted is not None and facts["definition_hash"] != wanted:
        yield Problem(
            f"the model {facts['model']} was trained from another definition",
            expected=f"definition {wanted}",
            got=f"definition {facts['definition_hash']}",
            do="train it again, or go back to the definition that it was trained from",
        )


def _estimator(path: Path, trained: Mapping[str, str]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)  # told by Artifact.changes
        try:
            return joblib.load(path)
        except Exception as error:  # unpickling can raise anything
            raise ModelError.of(
                "the stored estimator cannot be read with the libraries installed here",
                expected=", ".join(f"{name} {number}" for name, number in trained.items()),
                got=f"{type(error).__name__}: {error}",
                where=str(path),
                do="install those versions, or train again",
            ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _baseline(path: Path) -> Baseline:
    return Baseline.from_json(json.loads(path.read_text(encoding="utf-8")))


def _reference(form: Mapping[str, Any]) -> Reference:
    numbers = {name: math.nan if form[name] is None else form[name] for name in ("mean", "std")}
    quantiles = tuple(math.nan if q is None else q for q in form["quantiles"])
    return Reference(form["rows"], form["nulls"], **numbers, quantiles=quantiles)


def _plain(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
