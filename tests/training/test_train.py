"""The whole way: from events to a registered model, and every way in which it can fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import headwater as hw
from headwater.core.errors import DefinitionError, ModelError, TrainingError
from headwater.core.instant import DAY
from headwater.definitions.compile import content_hash
from headwater.definitions.finding import find_model, find_policy
from headwater.models.scorer import scorer_for
from headwater.training.dataset import build
from headwater.training.evaluate import judge
from headwater.training.fit import fit_model
from headwater.training.report import report
from headwater.training.split import temporal
from headwater.training.train import Plan, TrainedModel, open_registry, train
from tests.letters import says
from tests.training.lender import PAYMENTS, day, many, model

NOW = day(300)
SOON = Plan(bootstrap=20)


def project(**changes: object) -> hw.Project:
    risk = model(estimator=HistGradientBoostingClassifier(max_iter=20), **changes)
    policy = hw.Policy("care", risk, {"fine": 0.0, "look": 0.2, "act": 0.6})
    return hw.Project("lender", [risk], [policy])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    registry = open_registry(tmp_path_factory.mktemp("lender"), project())
    return train(project(), "risk", {"payments": many()}, registry, now=NOW, plan=SOON)


def test_the_model_has_learned_what_there_is_to_learn(trained: TrainedModel) -> None:
    assert trained.evaluation.roc_auc.low > 0.7
    assert next(iter(trained.judged.importance)) in ("spent_30d", "last")
    assert [band.name for band in trained.evaluation.bands] == ["fine", "look", "act"]
    assert trained.evaluation.entities == 40


def test_test_rows_come_after_the_labels_of_the_training_rows(trained: TrainedModel) -> None:
    times, split = trained.training_set.times, trained.split
    assert times[split.train].max() + 10 * DAY <= times[split.test].min()
    assert trained.evaluation.rows == len(split.test)


def test_the_registered_model_scores_as_the_trained_one(
    tmp_path: Path,
) -> None:
    registry = open_registry(tmp_path, project())
    trained = train(project(), None, {"payments": many()}, registry, now=NOW, plan=SOON)
    assert trained.version is not None
    assert trained.version.aliases == ("champion",)
    artifact = registry.load("risk", definition_hash=content_hash(project().models[0]))
    X = artifact.inputs.matrix(trained.training_set.frame[trained.split.test])
    scorer = scorer_for(artifact.estimator, artifact.inputs.names, artifact.background)
    np.testing.assert_array_equal(scorer.score(X), trained.judged.scores)
    assert artifact.metrics["roc_auc"] == trained.evaluation.roc_auc.value
    assert artifact.manifest["digest"] == trained.training_set.manifest.digest
    assert set(artifact.references) == set(artifact.inputs.names)


def test_training_twice_gives_the_same_model(trained: TrainedModel) -> None:
    again = train(project(), "risk", {"payments": many()}, None, now=NOW, plan=SOON)
    np.testing.assert_array_equal(again.judged.scores, trained.judged.scores)
    assert again.evaluation == trained.evaluation
    assert again.version is None


def test_a_report_is_plain_json(trained: TrainedModel) -> None:
    told = report(trained)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["rows"]["gap"] == "10d"
    assert told["rows"]["train"] == len(trained.split.train)
    assert told["scorer"] == "forest"
    assert told["version"]["aliases"] == ["champion"]
    assert told["evaluation"]["figures"]["roc_auc"][0] == trained.evaluation.roc_auc.value


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    train(
        project(),
        "risk",
        {"payments": many(days=100)},
        None,
        now=NOW,
        plan=SOON,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert told == [
        ("replay", 0, 4),
        ("fit", 1, 4),
        ("evaluate", 2, 4),
        ("register", 3, 4),
        ("register", 4, 4),
    ]


@pytest.mark.parametrize(
    "estimator",
    [
        LGBMClassifier(n_estimators=10, verbose=-1),
        make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    ],
    ids=["lightgbm", "pipeline"],
)
def test_any_estimator(estimator: object) -> None:
    some = hw.Project("lender", [model(estimator=estimator)])
    found = train(some, None, {"payments": many()}, None, now=NOW, plan=SOON)
    assert found.evaluation.roc_auc.value > 0.7
    assert found.evaluation.bands == ()


def test_the_window_of_retraining_is_what_is_learned_from() -> None:
    rolling = project(retrain=hw.rolling(every="7d", window="30d"))
    found = train(rolling, None, {"payments": many()}, None, now=NOW, plan=SOON)
    times = found.training_set.times[found.split.train]
    assert times.max() - times.min() < 30 * DAY
    whole = train(
        rolling, None, {"payments": many()}, None, now=NOW, plan=Plan(bootstrap=0, window=1000 * DAY)
    )
    assert len(whole.split.train) > len(found.split.train)


def test_who_is_known_already_is_not_judged_and_cards_are_counted() -> None:
    fraud = model(
        estimator=HistGradientBoostingClassifier(max_iter=20),
        label=hw.outcome("bad", known_after="7d"),
        observe=hw.each(PAYMENTS),
        request=["amount"],
    )
    plan = Plan(test_from=day(100), leave_known=True, cards_at=(3,), bootstrap=20)
    found = train(
        hw.Project("cards", [fraud]), None, {"payments": many(accounts=300)}, None, now=NOW, plan=plan
    )
    everybody = train(
        hw.Project("cards", [fraud]),
        None,
        {"payments": many(accounts=300)},
        None,
        now=NOW,
        plan=Plan(test_from=day(100), bootstrap=0),
    )
    assert 0 < found.evaluation.rows < everybody.evaluation.rows
    assert 0 < found.evaluation.card_precision[3].value <= 1


def test_a_stored_model_is_judged_on_other_rows(trained: TrainedModel) -> None:
    later = build(project().models[0], {"payments": many(seed=5)})
    found = judge(trained.artifact, trained.scorer, later, bootstrap=0)
    assert found.evaluation.rows == len(later)
    assert found.evaluation.roc_auc.value > 0.7


def test_rows_to_judge_on_are_not_looked_at_in_fitting() -> None:
    """A text that comes up only in the test rows gets no code of its own."""
    texts = hw.FeatureView("t", PAYMENTS, key="who", features={"who_": hw.last("who"), "n": hw.count()})
    frame = many(accounts=30, days=100)
    late = frame.with_columns(pl.col("id") + 10**6, pl.col("time") + pl.duration(days=100), who=pl.lit("new"))
    small = model(features=[texts], estimator=HistGradientBoostingClassifier(max_iter=2))
    found = build(small, {"payments": pl.concat([frame, late])})
    fitted = fit_model(found, temporal(found.times, found.gap, test_from=day(100)))
    assert "new" in found.inputs.categories["who_"]
    assert "new" not in fitted.artifact.inputs.categories["who_"]


class TestRefusals:
    def test_an_estimator_that_cannot_take_nulls(self) -> None:
        nulls = hw.FeatureView("v", PAYMENTS, key="who", features={"mean": hw.mean("amount", over="1d")})
        some = hw.Project("lender", [model(features=[nulls])])
        with pytest.raises(ModelError) as caught:
            train(some, None, {"payments": many()}, None, now=NOW)
        (problem,) = caught.value.problems
        assert problem.what == "the estimator cannot take nulls"
        assert problem.got is not None
        assert problem.got.startswith("LogisticRegression, and nulls in mean_1d (")

    def test_an_estimator_without_probabilities_does_not_get_this_far(self) -> None:
        with pytest.raises(DefinitionError, match="predict_proba"):
            model(estimator=LinearSVC())

    def test_a_label_with_one_class(self) -> None:
        never = hw.Project("lender", [model(label=hw.happens(PAYMENTS, pl.col("amount") < 0, within="10d"))])
        with pytest.raises(TrainingError, match="the label has one class only"):
            train(never, None, {"payments": many()}, None, now=NOW)

    def test_a_model_that_is_not_there(self) -> None:
        two = hw.Project("lender", [model(name="risk"), model(name="churn")])
        with says(
            TrainingError,
            """
            the project has no model 'rsk'
              expected: one of risk, churn
              got:      'rsk'
              where:    lender
              do:       did you mean 'risk'?
            """,
        ):
            find_model(two, "rsk")
        with says(
            TrainingError,
            """
            the project has several models
              expected: one of risk, churn
              got:      none named
              where:    lender
              do:       name one of them
            """,
        ):
            find_model(two, None)
        assert find_model(two, "churn").name == "churn"
        assert find_policy(two, two.models[0]) is None
