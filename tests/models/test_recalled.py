"""A registry elsewhere that goes away and comes back: what it said last goes on, seals checked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headwater.core.errors import ModelError
from headwater.models.metrics import evaluate
from headwater.models.recalled import REST, Fetching, Recalled
from headwater.models.registry import CHALLENGER, CHAMPION, Registry, Training
from tests.models.trained import artifact, rows

NOW = 1_767_225_600_000_000
DEAD = "http://ada:secret@127.0.0.1:1"


class Street:
    """The way to a registry that can be closed: then its address is that of a port where nobody listens."""

    def __init__(self, home: Path) -> None:
        self.home, self.open, self.asked, self.now = home, True, 0, 0

    def __call__(self) -> Fetching:
        self.asked += 1
        return Registry(self.home, "bank", f"sqlite:///{self.home}/mlflow.db" if self.open else DEAD)

    def recalled(self, folder: Path, kind: str = "bank") -> Recalled:
        return Recalled(folder, kind, self, lambda: self.now)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a champion and a challenger."""
    home = tmp_path_factory.mktemp("far")
    X, y = rows()
    training = Training(evaluate(y, artifact().estimator.predict_proba(X)[:, 1], bootstrap=5), {}, {})
    registry = Registry(home, "bank")
    for _ in range(2):
        registry.track(artifact(), training, now=NOW)
    return home


def test_what_was_said_last_goes_on(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    street = Street(made)
    before = street.recalled(tmp_path)
    said, digest = before.versions("risk"), before.version("risk").digest
    assert [one.aliases for one in said] == [(CHALLENGER,), (CHAMPION,)]
    first = before.load("risk")

    street.open, street.asked = False, 0
    after = street.recalled(tmp_path)
    assert after.versions("risk") == said
    assert after.version("risk", CHALLENGER).number == 2
    X, _ = rows()
    scores = [one.estimator.predict_proba(X).tobytes() for one in (first, after.load("risk"))]
    assert scores[0] == scores[1]
    assert (before.away, after.away) == (False, True)
    assert street.asked == 1  # and not again before it has rested
    with pytest.raises(ModelError) as raised:
        after.version("risk", 7)
    assert str(raised.value) == (
        "the registry is away, and no such version of 'risk' was noted before\n  got:      7\n"
        f"  where:    {tmp_path}/versions.json\n  do:       try again when the registry is back"
    )
    with pytest.raises(ModelError) as raised:
        street.recalled(tmp_path, kind="another project").versions("risk")
    assert raised.value.problems[0].what == "the registry cannot be opened"
    assert raised.value.problems[0].where == "http://127.0.0.1:1"
    assert "secret" not in str(raised.value)

    with pytest.raises(ModelError):
        after.asked()  # whoever changes it waits for nothing
    street.open = True
    assert after.asked().version("risk").number == 1
    assert after.away is False
    street.open = False
    forgot = street.recalled(tmp_path)
    assert (forgot.versions("risk"), forgot.away) == (said, True)
    street.open = True
    Registry(made, "bank").promote("risk", 2)
    assert forgot.version("risk").number == 1  # it rests
    street.now += REST
    assert forgot.version("risk").number == 2
    assert after.version("risk").number == 2
    Registry(made, "bank").promote("risk", 1)
    assert after.version("risk").digest == digest


def test_what_is_kept_is_checked_and_fetched_again(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    street = Street(made)
    reader = street.recalled(tmp_path)
    reader.load("risk")
    (kept,) = (tmp_path / "artifacts").iterdir()
    (kept / "estimator.joblib").write_bytes(b"another")
    reader.load("risk")  # the registry has a whole one
    (kept / "estimator.joblib").write_bytes(b"another")
    (tmp_path / "versions.json").write_text("{", encoding="utf-8")
    reader.versions("risk")  # noted anew
    street.open = False
    with pytest.raises(ModelError) as raised:
        street.recalled(tmp_path).load("risk")
    assert raised.value.problems[0].what == "the model artifact is damaged"
    shutil.rmtree(kept)
    with pytest.raises(ModelError) as raised:
        street.recalled(tmp_path).load("risk")
    assert raised.value.problems[0].what == "the registry cannot be opened"
