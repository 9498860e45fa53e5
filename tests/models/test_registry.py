"""The registry on MLflow, in a temporary folder: versions, aliases, what a run tells, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from headwater.core.errors import ModelError
from headwater.models.metrics import Evaluation, evaluate
from headwater.models.plots import figures
from headwater.models.registry import Registry, Training
from tests.letters import says
from tests.models.trained import NAMES, artifact, rows

NOW = 1_767_225_600_000_000


def judged() -> Evaluation:
    X, y = rows()
    score = artifact().estimator.predict_proba(X)[:, 1]
    return evaluate(y, score, bands={"low": 0.0, "high": 0.5}, bootstrap=20)


@pytest.fixture(scope="module")
def training() -> Training:
    X, y = rows()
    score = artifact().estimator.predict_proba(X)[:, 1]
    drawn = figures(y, score, judged(), {"amount": 0.4, "age": 0.1})
    return Training(judged(), drawn, {"train_rows": 300, "gap": "7d"}, ("a warning of the library",))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture
def registry(home: Path, request: pytest.FixtureRequest) -> Registry:
    """A project of its own for each test, in one store: to make a store takes two seconds."""
    return Registry(home, request.node.name)


def test_the_first_version_is_champion_and_the_next_challenger(
    registry: Registry, training: Training
) -> None:
    first = registry.track(artifact(), training, now=NOW)
    second = registry.track(artifact(definition_hash="e" * 64), training, now=NOW)
    assert (first.number, first.aliases, first.definition_hash) == (1, ("champion",), "d" * 64)
    assert (second.number, second.aliases, second.definition_hash) == (2, ("challenger",), "e" * 64)
    assert [v.number for v in registry.versions("risk")] == [2, 1]


def test_promoting_the_challenger(registry: Registry, training: Training) -> None:
    registry.track(artifact(), training, now=NOW)
    registry.track(artifact(), training, now=NOW)
    assert registry.promote("risk").aliases == ("champion",)
    assert registry.version("risk").number == 2
    assert registry.version("risk", 1).aliases == ()
    assert registry.promote("risk", 1).number == 1
    assert registry.version("risk", "champion").number == 1


def test_a_loaded_model_scores_as_the_trained_one(registry: Registry, training: Training) -> None:
    version = registry.track(artifact(), training, now=NOW)
    X, _ = rows()
    for which in ("champion", 1):
        loaded = registry.load("risk", which, definition_hash="d" * 64)
        np.testing.assert_array_equal(
            loaded.estimator.predict_proba(X), artifact().estimator.predict_proba(X)
        )
    assert len(version.digest) == 64


def test_a_run_tells_how_the_model_came_about(registry: Registry, training: Training, tmp_path: Path) -> None:
    version = registry.track(artifact(), training, now=NOW)
    client = MlflowClient(registry.uri, registry.uri)
    run = client.get_run(version.run)
    assert run.info.status == "FINISHED"
    assert (run.info.start_time, run.info.end_time) == (NOW // 1000, NOW // 1000)
    assert run.data.params["max_iter"] == "5"
    assert run.data.params["estimator"] == "HistGradientBoostingClassifier"
    assert (run.data.params["train_rows"], run.data.params["gap"]) == ("300", "7d")
    metric = training.evaluation.roc_auc
    names = ("roc_auc", "roc_auc_low", "roc_auc_high")
    assert [run.data.metrics[name] for name in names] == [metric.value, metric.low, metric.high]
    assert run.data.metrics["band_high_rate"] == training.evaluation.bands[1].rate.value
    assert run.data.tags["headwater.definition"] == "d" * 64
    assert run.inputs is not None
    assert run.inputs.dataset_inputs[0].dataset.digest == ("ab" * 32)[:32]
    listed = {file.path for file in client.list_artifacts(version.run, "plots")}
    assert listed == {
        f"plots/{name}.png"
        for name in ("roc", "precision_recall", "score_distribution", "ks", "calibration", "top_features")
    }
    told = client.download_artifacts(version.run, "evaluation.json", str(tmp_path))
    assert json.loads(Path(told).read_text()) == training.evaluation.to_json()
    notes = client.download_artifacts(version.run, "notes.txt", str(tmp_path))
    assert Path(notes).read_text() == "a warning of the library\n"


@pytest.mark.filterwarnings("ignore")  # MLflow's own, about itself
def test_mlflows_own_tools_can_use_the_model(registry: Registry, training: Training) -> None:
    version = registry.track(artifact(), training, now=NOW)
    model = mlflow.pyfunc.load_model(version.location)
    assert [column.name for column in model.metadata.signature.inputs] == list(NAMES)
    X, _ = rows()
    found = model.predict(pd.DataFrame(X, columns=list(NAMES)))
    np.testing.assert_array_equal(found, artifact().estimator.predict_proba(X))


def test_nothing_is_said_to_the_screen(
    registry: Registry, training: Training, capfd: pytest.CaptureFixture[str]
) -> None:
    registry.track(artifact(), training, now=NOW)
    registry.load("risk")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_version_that_is_not_there(registry: Registry, training: Training) -> None:
    with says(
        ModelError,
        f"""
        the model 'risk' has no such version
          expected: a trained model
          got:      champion
          where:    {registry.uri}
          do:       train it first
        """,
    ):
        registry.version("risk")
    registry.track(artifact(), training, now=NOW)
    with says(
        ModelError,
        f"""
        the model 'risk' has no such version
          expected: one of the versions 1 (champion)
          got:      7
          where:    {registry.uri}
          do:       name one of them
        """,
    ):
        registry.load("risk", 7)
    assert registry.versions("other") == []


def test_another_definition_is_refused(registry: Registry, training: Training) -> None:
    registry.track(artifact(), training, now=NOW)
    with pytest.raises(ModelError, match="the model risk was trained from another definition"):
        registry.load("risk", definition_hash="e" * 64)


def test_files_that_were_exchanged_are_refused(registry: Registry, training: Training) -> None:
    """A whole other artifact in its place, seal and all, is still not the one that was registered."""
    one = registry.track(artifact(), training, now=NOW)
    other = registry.track(artifact(metrics={}), training, now=NOW)
    here = Path(one.location.removeprefix("file://")) / "headwater"
    there = Path(other.location.removeprefix("file://")) / "headwater"
    for file in there.iterdir():
        (here / file.name).write_bytes(file.read_bytes())
    with says(
        ModelError,
        f"""
        this is another model artifact than the one asked for
          expected: {one.digest}
          got:      {other.digest}
          where:    {here / "SEAL"}
          do:       restore the folder from a copy, or train again
        """,
    ):
        registry.load("risk", 1)


def test_a_store_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    with pytest.raises(ModelError) as caught:
        Registry(tmp_path, "demo")
    (problem,) = caught.value.problems
    assert problem.what == "the registry cannot be opened"
    assert problem.got == "(sqlite3.DatabaseError) file is not a database"
    assert problem.where == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert problem.do == "look at the folder or the tracking server, then try again"


def test_a_training_that_cannot_be_recorded_registers_nothing(tmp_path: Path, training: Training) -> None:
    registry = Registry(tmp_path, "demo")
    (tmp_path / "mlruns").write_text("a file where the folder should be")
    with pytest.raises(ModelError) as caught:
        registry.track(artifact(), training, now=NOW)
    assert caught.value.problems[0].what == "the training cannot be recorded"
    assert registry.versions("risk") == []
    client = MlflowClient(registry.uri, registry.uri)
    experiment = client.get_experiment_by_name("demo")
    assert experiment is not None
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
