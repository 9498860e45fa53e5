"""Hyper-parameters by search: later judged by earlier, seeded, stopped early, and taken up again."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from headwater.core.errors import TrainingError
from headwater.core.instant import DAY
from headwater.definitions.compile import content_hash
from headwater.retraining.run import Recipe
from headwater.retraining.search import Search, Searched, folds_of, search, tuned
from headwater.retraining.space import Dimension, space_of
from headwater.retraining.window import Bounds, matured
from headwater.training.dataset import TrainingSet
from tests.letters import says
from tests.retraining.house import House
from tests.retraining.lender import day, model, payments, project

BADLY = LogisticRegression(C=1e-9)
SOME = Search(trials=8, folds=2, space={"C": Dimension(1e-6, 1e2, log=True)})


@pytest.fixture(scope="module")
def rows() -> TrainingSet:
    return matured(model(estimator=BADLY), {"payments": payments(100, turn=1000)}, day(90), Bounds())


def found(rows: TrainingSet, path: Path, **how: object) -> Searched:
    return search(rows, np.arange(len(rows)), SOME, storage=path, seed=3, **how)  # type: ignore[arg-type]


def test_folds_are_ordered_in_time_with_the_labels_gap_between(rows: TrainingSet) -> None:
    folds = folds_of(rows, np.arange(len(rows)), 3)
    assert len(folds) == 3
    for fold in folds:
        assert rows.times[fold.train].max() + 7 * DAY <= rows.times[fold.test].min()
    tests = [(int(rows.times[f.test].min()), int(rows.times[f.test].max())) for f in folds]
    assert all(one[1] < other[0] for one, other in pairwise(tests))


def test_it_finds_what_is_better_than_declared(rows: TrainingSet, tmp_path: Path) -> None:
    best = found(rows, tmp_path / "search.db")
    assert best.loss < best.usual - 0.05
    assert best.params["C"] > 1e-4
    assert best.trials == 8


def test_a_trial_that_is_behind_after_a_fold_is_stopped(rows: TrainingSet, tmp_path: Path) -> None:
    many = replace(SOME, trials=16, folds=3)
    best, again = (
        search(rows, np.arange(len(rows)), many, storage=tmp_path / f"{name}.db", seed=3) for name in "ab"
    )
    assert 0 < best.pruned < best.trials == 16
    assert again == best


def test_cut_short_it_comes_to_the_same(rows: TrainingSet, tmp_path: Path) -> None:
    whole = found(rows, tmp_path / "whole.db")

    def stop(done: int, _total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(rows, tmp_path / "cut.db", progress=stop)
    assert found(rows, tmp_path / "cut.db") == whole


def test_a_search_is_no_change_of_the_definition(house: House) -> None:
    house.project = project(estimator=BADLY)
    done = house.retrain(80, Recipe(bootstrap=20, search=SOME))
    artifact = house.registry.load("risk", 1, definition_hash=content_hash(house.project.models[0]))
    assert done.searched is not None
    assert artifact.estimator.C == done.searched.params["C"] != BADLY.C
    assert house.retrain(80, Recipe(bootstrap=20, search=SOME)).found


def test_the_usual_spaces() -> None:
    assert list(space_of(HistGradientBoostingClassifier()))[:2] == ["learning_rate", "max_iter"]
    assert list(space_of(make_pipeline(StandardScaler(), LogisticRegression()))) == ["logisticregression__C"]
    assert space_of(DummyClassifier()) == {}


def test_the_declared_estimator_is_left_as_it_is() -> None:
    declared = model(estimator=make_pipeline(StandardScaler(), LogisticRegression()))
    other = tuned(declared, {"logisticregression__C": 0.5})
    assert other.estimator[-1].C == 0.5
    assert declared.estimator[-1].C == 1.0


def test_an_estimator_without_a_space_is_refused(rows: TrainingSet, tmp_path: Path) -> None:
    unknown = Search(trials=3, space={"depth": Dimension(1, 3, whole=True)})
    with says(
        TrainingError,
        """
        the hyper-parameters of LogisticRegression cannot be searched
          expected: names of its hyper-parameters, each with what may be tried
          got:      no such hyper-parameter: depth
          where:    risk
          do:       name a space, or train without a search
        """,
    ):
        search(rows, np.arange(len(rows)), unknown, storage=tmp_path / "search.db")
