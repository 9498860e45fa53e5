"""The reference: kept with the artifact, and made again for one of an older version."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import headwater as hw
from headwater.core.errors import ModelError, TrainingError
from headwater.models.artifact import load
from headwater.models.scorer import scorer_for
from headwater.monitoring.drift import compare
from headwater.monitoring.reference import read, rebuilt, reference, write
from headwater.monitoring.verdict import Rule
from headwater.monitoring.window import Window
from headwater.training.dataset import build
from headwater.training.train import Plan, TrainedModel, train
from tests.letters import says
from tests.training.lender import PAYMENTS, many, model

EVENTS = {"payments": many()}
DIGEST = "d" * 64


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    project = hw.Project("lender", models=[model()], policies=[])
    return train(project, None, EVENTS, None, now=0, plan=Plan(bootstrap=5))


def test_training_keeps_a_reference_of_inputs_scores_and_streams(trained: TrainedModel) -> None:
    found = reference(trained.artifact)
    assert tuple(found.spreads) == trained.artifact.inputs.names
    assert set(found.flows) == {PAYMENTS.name}
    learned = trained.training_set.times[trained.split.train]
    assert found.learned == (learned.min(), learned.max())
    assert found.spreads["n"].rows == len(learned)
    assert found.scores is not None
    assert found.scores.rows == len(trained.split.test)
    assert found.contributions is not None
    scores = trained.judged.scores
    assert found.contributions.margin == pytest.approx(np.log(scores / (1 - scores)).mean(), abs=0.02)


def test_the_artifact_carries_it_to_disk_and_back(trained: TrainedModel, tmp_path: Path) -> None:
    trained.artifact.save(tmp_path / "new")
    assert reference(load(tmp_path / "new")).to_json() == reference(trained.artifact).to_json()
    (tmp_path / "new" / "baseline.json").write_text("{}\n")
    with pytest.raises(ModelError, match="the model artifact is damaged"):
        load(tmp_path / "new")


def test_an_older_artifact_has_none_and_says_so(trained: TrainedModel, tmp_path: Path) -> None:
    replace(trained.artifact, baseline=None).save(tmp_path / "old")
    assert not (tmp_path / "old" / "baseline.json").exists()
    with says(
        ModelError,
        """
        the model risk has no training reference to measure drift against
          expected: an artifact with baseline.json
          got:      an artifact of an older version
          do:       rebuild the reference from its training set, or train again
        """,
    ):
        reference(load(tmp_path / "old"))


def test_rebuilt_from_the_same_log_it_is_the_same(trained: TrainedModel, tmp_path: Path) -> None:
    replace(trained.artifact, baseline=None).save(tmp_path / "old")
    old = load(tmp_path / "old")
    scorer = scorer_for(old.estimator, old.inputs.names, old.background)
    again = rebuilt(old, build(model(), EVENTS), trained.split, scorer)
    assert again.to_json() == reference(trained.artifact).to_json()


def test_another_training_set_is_refused(trained: TrainedModel) -> None:
    other = build(model(), {"payments": many(seed=1)})
    with says(
        TrainingError,
        """
        this is not the training set of the model risk
          expected: the checksums of its manifest
          got:      other X, keys, times, y
          do:       build the training set with the artifact's bounds, definition and log
        """,
    ):
        rebuilt(trained.artifact, other, trained.split, trained.scorer)


def test_a_kept_reference_is_sealed_and_of_one_artifact(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    write(reference(trained.artifact), path, digest=DIGEST)
    assert read(path, digest=DIGEST).to_json() == reference(trained.artifact).to_json()
    with says(
        ModelError,
        f"""
        this is the reference of another model artifact
          expected: {"e" * 64}
          got:      {DIGEST}
          where:    {path}
          do:       rebuild the reference for this artifact
        """,
    ):
        read(path, digest="e" * 64)
    path.write_text(path.read_text().replace('"nulls":0', '"nulls":9'))
    with says(
        ModelError,
        f"""
        the training reference is damaged
          expected: what its checksum says
          got:      other contents
          where:    {path}
          do:       rebuild it from the training set
        """,
    ):
        read(path, digest=DIGEST)
    path.write_text("nothing")
    with pytest.raises(ModelError, match="a file that is no reference"):
        read(path, digest=DIGEST)


def test_the_rows_it_learned_from_are_no_drift(trained: TrainedModel) -> None:
    rows = trained.split.train
    same = Window(
        0, 1, trained.artifact.inputs.names, trained.training_set.X[rows], trained.training_set.entities[rows]
    )
    assert compare(reference(trained.artifact), same, rule=Rule()).level == "quiet"
