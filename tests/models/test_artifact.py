"""Artifacts: what is loaded is what was saved, or nothing is loaded at all."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headwater.core.errors import ModelError
from headwater.models.artifact import SEAL, load, read_digest
from headwater.models.reference import Reference, background, references
from tests.letters import says
from tests.models.trained import artifact, rows


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    saved = artifact()
    digest = saved.save(tmp_path / "risk")
    loaded = load(tmp_path / "risk", definition_hash=saved.definition_hash, digest=digest)
    X, _ = rows()
    np.testing.assert_array_equal(loaded.estimator.predict_proba(X), saved.estimator.predict_proba(X))
    np.testing.assert_array_equal(loaded.background, saved.background)
    assert loaded.references == saved.references
    assert (loaded.model, loaded.definition, loaded.manifest) == (
        saved.model,
        saved.definition,
        saved.manifest,
    )
    assert loaded.inputs.names == saved.inputs.names
    assert dict(loaded.inputs.types) == dict(saved.inputs.types)
    assert loaded.metrics["roc_auc"] == 0.75
    assert math.isnan(loaded.metrics["band_act_rate"])
    assert loaded.changes() == ()
    assert read_digest(tmp_path / "risk") == digest


def test_the_same_model_has_the_same_digest(tmp_path: Path) -> None:
    assert artifact().save(tmp_path / "one") == artifact().save(tmp_path / "two")


def test_it_explains_itself(tmp_path: Path) -> None:
    artifact().save(tmp_path / "risk")
    facts = json.loads((tmp_path / "risk" / "artifact.json").read_text())
    assert facts["inputs"]["categories"] == {"way": ["card", "cash"]}
    assert facts["references"]["age"]["nulls"] == 5
    assert set(facts["versions"]) == {"python", "headwater", "polars", "numpy", "scikit-learn"}


def test_an_artifact_is_never_overwritten(tmp_path: Path) -> None:
    artifact().save(tmp_path)
    with says(
        ModelError,
        f"""
        an artifact is never written over another
          expected: a new or empty folder
          got:      {tmp_path}
          do:       choose another folder
        """,
    ):
        artifact().save(tmp_path)


@pytest.mark.parametrize("name", ["artifact.json", "estimator.joblib", "columns.arrow", "background.npy"])
def test_a_damaged_file(tmp_path: Path, name: str) -> None:
    artifact().save(tmp_path)
    file = tmp_path / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ModelError) as caught:
        load(tmp_path)
    (problem,) = caught.value.problems
    assert problem.what == "the model artifact is damaged"
    assert problem.where == str(file)
    assert problem.do == "restore the folder from a copy, or train again"


def test_nothing_is_unpickled_before_the_checksums_fit(tmp_path: Path) -> None:
    artifact().save(tmp_path)
    (tmp_path / "estimator.joblib").write_bytes(pickle.dumps(Bomb(str(tmp_path / "went off"))))
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path)
    assert not (tmp_path / "went off").exists()


class Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def test_a_missing_file(tmp_path: Path) -> None:
    artifact().save(tmp_path)
    (tmp_path / "background.npy").unlink()
    with pytest.raises(ModelError, match="no file"):
        load(tmp_path)


def test_no_artifact(tmp_path: Path) -> None:
    with says(
        ModelError,
        f"""
        there is no model artifact here
          expected: a folder with artifact.json and SEAL
          got:      {tmp_path}
          do:       train the model, or look at the path
        """,
    ):
        load(tmp_path)


def test_another_definition(tmp_path: Path) -> None:
    artifact().save(tmp_path)
    with says(
        ModelError,
        f"""
        the model risk was trained from another definition
          expected: definition {"e" * 64}
          got:      definition {"d" * 64}
          do:       train it again, or go back to the definition that it was trained from
        """,
    ):
        load(tmp_path, definition_hash="e" * 64)


def test_another_artifact_than_the_one_asked_for(tmp_path: Path) -> None:
    digest = artifact().save(tmp_path)
    with says(
        ModelError,
        f"""
        this is another model artifact than the one asked for
          expected: {"0" * 64}
          got:      {digest}
          where:    {tmp_path / SEAL}
          do:       restore the folder from a copy, or train again
        """,
    ):
        load(tmp_path, digest="0" * 64)


def test_libraries_that_have_changed_are_named(tmp_path: Path) -> None:
    old = {"python": "3.8.0", "scikit-learn": "0.24", "gone": "1"}
    artifact(versions=old).save(tmp_path)
    loaded = load(tmp_path)
    assert [change.split(" ->")[0] for change in loaded.changes()] == [
        "gone 1",
        "python 3.8.0",
        "scikit-learn 0.24",
    ]
    assert loaded.changes()[0] == "gone 1 -> gone"


def test_an_estimator_that_cannot_be_stored(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        replace(artifact(), estimator=lambda: None).save(tmp_path)
    assert caught.value.problems[0].what == "the estimator cannot be stored"
    assert caught.value.problems[0].do == "leave lambdas and local classes out of it"


def test_references_leave_nulls_out() -> None:
    found = references(np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]]), ["amount", "never"])
    assert found["amount"] == Reference(3, 1, 1.5, 0.5, (1.0, 1.05, 1.25, 1.5, 1.75, 1.95, 2.0))
    assert found["amount"].median == 1.5
    assert (found["never"].nulls, math.isnan(found["never"].median)) == (3, True)


def test_background_rows_are_a_seeded_sample() -> None:
    X, _ = rows()
    np.testing.assert_array_equal(background(X, 10, seed=1), background(X, 10, seed=1))
    assert background(X, 10).shape == (10, 4)
    np.testing.assert_array_equal(background(X, 1_000), X)
