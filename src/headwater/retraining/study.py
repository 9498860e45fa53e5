"""The trials of a search, by Optuna. Imported by ``retraining.search`` alone, where Optuna is installed.

Every trial is drawn with a seed of its own, made from the search's seed and the number of trials that came to
an end before it, so that a search that was killed and goes on comes to the same trials as one that was not. A
trial that is worse than the median of the earlier ones at the same fold is stopped (pruned).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from headwater.retraining.space import Dimension

_NAME = "search"
_WARM_UP = 5  # trials before any is stopped early
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)

Losses = Callable[[Mapping[str, Any]], Iterable[float]]


def study(
    storage: Path,
    losses: Losses,
    space: Mapping[str, Dimension],
    usual: Mapping[str, Any],
    *,
    trials: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Try sets of hyper-parameters; the facts of ``search.Searched``.

    Args:
        storage: SQLite file; made if there is none.
        losses: the loss in each fold, one after the other.
        space: what may be tried.
        usual: as declared: always one of the trials, outside the space if need be.
        trials: how many in all, with those that the file holds already.
        seed: of the draws.
        progress: told after each trial.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    memory = RDBStorage(f"sqlite:///{storage}")
    try:
        found = _tried(memory, losses, space, usual, trials, seed, progress)
    finally:
        memory.engine.dispose()
    return found


def _tried(
    memory: RDBStorage,
    losses: Losses,
    space: Mapping[str, Dimension],
    usual: Mapping[str, Any],
    trials: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_WARM_UP, n_warmup_steps=0)
    asked = optuna.create_study(
        storage=memory, study_name=_NAME, load_if_exists=True, direction="minimize", pruner=pruner
    )
    for trial in asked.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # it was killed at work
        memory.set_trial_state_values(trial._trial_id, TrialState.FAIL)  # noqa: SLF001 - Optuna's only way
    if "usual" not in asked.user_attrs:
        asked.set_user_attr("usual", float(np.mean(list(losses(usual)))))
    declared: float = asked.user_attrs["usual"]
    while (done := len(_ended(asked))) < trials - 1:
        progress(done + 1, trials)
        asked.sampler = optuna.samplers.TPESampler(seed=seed * 1_000_003 + done, n_startup_trials=_WARM_UP)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            asked.optimize(lambda trial: _objective(trial, losses, space), n_trials=1)
    progress(trials, trials)
    ended = _ended(asked)
    complete = [one for one in ended if one.state == TrialState.COMPLETE]
    best = min(complete, key=lambda one: (one.value, one.number), default=None)
    better = best is not None and best.value is not None and best.value < declared
    return {
        "params": dict(best.params) if better and best is not None else dict(usual),
        "loss": best.value if better and best is not None else declared,
        "usual": declared,
        "trials": len(ended) + 1,
        "pruned": len(ended) - len(complete),
    }


def _ended(asked: optuna.Study) -> list[FrozenTrial]:
    return asked.get_trials(deepcopy=False, states=_ENDED)


def _objective(trial: Trial, losses: Losses, space: Mapping[str, Dimension]) -> float:
    params = {name: _drawn(trial, name, one) for name, one in space.items()}
    seen: list[float] = []
    for fold, loss in enumerate(losses(params)):
        seen.append(loss)
        mean = float(np.mean(seen))
        trial.report(mean, fold)
        if trial.should_prune():
            raise optuna.TrialPruned
    return float(np.mean(seen))


def _drawn(trial: Trial, name: str, one: Dimension) -> Any:
    if one.choices:
        return trial.suggest_categorical(name, list(one.choices))
    if one.whole:
        return trial.suggest_int(name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)
