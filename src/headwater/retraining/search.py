"""Hyper-parameters by search, in time-ordered folds: what was learned earlier is judged on what came later.

The folds lie inside the rows that the judged model learns from, with the label's gap between fit and test,
so that the outcomes that the gate looks at stay unseen. Optuna does the looking (extra ``search``); trials
are kept in a file, so that a search that was killed goes on. Called by ``run``; read ``study`` for the trials
and ``space`` for what is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module, util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import MissingExtraError, TrainingError
from headwater.definitions.model import Model
from headwater.models.fitting import fit
from headwater.models.ranking import Ranking, log_loss
from headwater.models.scorer import scorer_for
from headwater.retraining.space import Dimension, space_of
from headwater.training.dataset import TrainingSet, rows
from headwater.training.split import Split, temporal

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Search:
    """How to search.

    Attributes:
        trials: how many sets of hyper-parameters are tried, those that are stopped early included.
        folds: tests one after the other, the newest last.
        space: hyper-parameter to what may be tried; by default as the estimator's kind suggests.
    """

    trials: int = 20
    folds: int = 3
    space: Mapping[str, Dimension] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        space = {name: one.to_json() for name, one in self.space.items()}
        return {"trials": self.trials, "folds": self.folds, "space": space}


@dataclass(frozen=True)
class Searched:
    """What a search came to.

    Attributes:
        params: the best hyper-parameters.
        loss: their mean logarithmic loss over the folds.
        usual: that of the estimator as declared, which is the first trial.
        trials: how many were tried; ``pruned`` of them were stopped early.
    """

    params: Mapping[str, Any]
    loss: float
    usual: float
    trials: int
    pruned: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "params": dict(self.params),
            "loss": self.loss,
            "usual": self.usual,
            "trials": self.trials,
            "pruned": self.pruned,
        }


def search(
    training_set: TrainingSet,
    train: Places,
    how: Search,
    *,
    storage: Path,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Searched:
    """Look for hyper-parameters of the model's estimator.

    Args:
        training_set: matured rows.
        train: places of the rows that may be looked at.
        how: how.
        storage: SQLite file of the trials; a search that was killed goes on from it.
        seed: of the sampler and of the fits.
        progress: called with how many trials are done, and how many there are.

    Raises:
        MissingExtraError: Optuna is not installed.
        TrainingError: the estimator's hyper-parameters are not known and none are named, or the rows do not
            make as many folds.
    """
    estimator = training_set.model.estimator
    space = dict(how.space) or space_of(estimator)
    unknown = sorted(set(space) - set(estimator.get_params(deep=True)))
    if unknown or not space:
        raise TrainingError.of(
            f"the hyper-parameters of {type(estimator).__name__} cannot be searched",
            expected="names of its hyper-parameters, each with what may be tried",
            got="none" if not space else "no such hyper-parameter: " + ", ".join(unknown),
            where=training_set.model.name,
            do="name a space, or train without a search",
        )
    folds = folds_of(training_set, train, how.folds)

    def losses(params: Mapping[str, Any]) -> Any:
        model = tuned(training_set.model, params)
        return (_loss(training_set, model, fold, seed) for fold in folds)

    storage.parent.mkdir(parents=True, exist_ok=True)
    best = _library().study(
        storage,
        losses,
        space,
        {name: estimator.get_params(deep=True)[name] for name in space},
        trials=how.trials,
        seed=seed,
        progress=progress or _silent,
    )
    return Searched(**best)


def folds_of(training_set: TrainingSet, train: Places, count: int) -> list[Split]:
    """Splits inside the rows ``train``, each later than the one before; places are of the whole set.

    The tests are the newer half of the rows, in equal numbers; a test with one class only is left out.

    Raises:
        TrainingError: none is left.
    """
    times = training_set.times[train]
    edges = np.quantile(times, np.linspace(0.5, 1.0, count + 1)).astype(np.int64)
    edges[-1] += 1
    found = []
    for start, stop in pairwise(edges.tolist()):
        try:
            inner = temporal(times, training_set.gap, test_from=int(start), test_until=int(stop))
        except TrainingError:
            continue
        fold = Split(train[inner.train], train[inner.test], int(start), inner.gap, inner.skipped)
        labels = [training_set.y[places] for places in (fold.train, fold.test)]
        if all(0 < one.sum() < len(one) for one in labels):
            found.append(fold)
    if not found:
        raise TrainingError.of(
            "the rows are too few to search for hyper-parameters in time-ordered folds",
            expected=f"{count} stretches with positives and negatives, each after rows to learn from",
            got=f"{len(train):,} rows, {int(training_set.y[train].sum()):,} of them positive",
            where=training_set.model.name,
            do="train without a search, ask for fewer folds, or bring more history",
        )
    return found


def tuned(model: Model, params: Mapping[str, Any]) -> Model:
    """The model with other hyper-parameters; another definition by its hash."""
    return Model(
        model.name,
        model.features,
        model.label,
        model.observe,
        deepcopy(model.estimator).set_params(**params),
        model.derived,
        model.request,
        model.retrain,
        model.protected,
        model.protected_inputs,
    )


def _loss(training_set: TrainingSet, model: Model, fold: Split, seed: int) -> float:
    learned = rows(training_set, fold.train)
    fitted = fit(model.estimator, learned.X, learned.y, learned.inputs.names, seed)
    scorer = scorer_for(fitted.estimator, learned.inputs.names, learned.X[:256])
    scores = scorer.score(learned.inputs.matrix(training_set.frame[fold.test]))
    ranking = Ranking.of(training_set.y[fold.test], scores)
    return float(log_loss(ranking).mean())


def _library() -> Any:
    if util.find_spec("optuna") is None:
        raise MissingExtraError.of(
            "Optuna is not installed",
            expected="the package optuna",
            do="pip install 'headwater[search]'",
        )
    return import_module("headwater.retraining.study")


def _silent(_done: int, _total: int) -> None:
    return None
