"""What is noted of the registry: the same answers without asking it, until it changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from headwater.core.errors import ModelError
from headwater.models.metrics import evaluate
from headwater.models.noted import Noted
from headwater.models.registry import Registry, Training
from headwater.models.version import Versions
from tests.models.trained import artifact, rows

NOW = 1_767_225_600_000_000


class Door:
    """Opens the registry, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.opened = folder, 0

    def __call__(self) -> Versions:
        self.opened += 1
        return Registry(self.folder, "bank")


def noted(folder: Path) -> tuple[Noted, Door]:
    door = Door(folder)
    return Noted(folder, "bank", door), door


def trained() -> Training:
    X, y = rows()
    judged = evaluate(y, artifact().estimator.predict_proba(X)[:, 1], bootstrap=5)
    return Training(judged, {}, {})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one version: to make a store takes two seconds."""
    home = tmp_path_factory.mktemp("registry")
    Registry(home, "bank").track(artifact(), trained(), now=NOW)
    return home


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy, noted."""
    shutil.copy(made / "mlflow.db", tmp_path)
    reader, door = noted(tmp_path)
    assert [version.number for version in reader.versions("risk")] == [1]
    assert door.opened == 1
    return tmp_path


def test_what_was_noted_is_what_the_registry_says(folder: Path) -> None:
    reader, door = noted(folder)
    registry = Registry(folder, "bank")
    (version,) = reader.versions("risk")
    assert [version] == registry.versions("risk")
    assert version.tags == registry.version("risk").tags
    assert reader.version("risk") == reader.version("risk", 1) == version
    assert reader.load("risk", definition_hash=version.definition_hash).model == "risk"
    assert door.opened == 0


def test_a_change_of_the_registry_is_seen_at_once(folder: Path) -> None:
    reader, door = noted(folder)
    registry = Registry(folder, "bank")
    registry.track(artifact(), trained(), now=NOW)
    assert reader.version("risk").number == 1
    registry.promote("risk", 2)
    assert reader.version("risk").number == 2
    assert door.opened == 1
    assert noted(folder)[0].version("risk").number == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"models": {"risk": [{}]}}'])
def test_a_damaged_note_is_no_note(folder: Path, text: str) -> None:
    (folder / "models.json").write_text(text)
    reader, door = noted(folder)
    assert reader.version("risk").number == 1
    assert door.opened == 1


def test_a_note_cannot_pass_another_model_off(folder: Path) -> None:
    told = json.loads((folder / "models.json").read_text())
    told["models"]["risk"][0]["digest"] = "0" * 64
    (folder / "models.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match="another model artifact than the one asked for"):
        noted(folder)[0].load("risk")


def test_a_version_that_there_is_not(folder: Path) -> None:
    with pytest.raises(ModelError, match="has no such version"):
        noted(folder)[0].version("risk", 7)
