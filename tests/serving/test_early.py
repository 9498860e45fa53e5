"""An engine that rises beside the imports: what it gives is what would have risen later, or nothing."""

from __future__ import annotations

from concurrent.futures import wait
from pathlib import Path

import pytest

import headwater as hw
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.serving.early import Early
from headwater.serving.keeping import Keeper
from headwater.serving.rising import Risen
from headwater.store.ahead import Ahead
from headwater.store.folder import DataFolder
from tests.http.house import open_service
from tests.http.test_events import pay
from tests.serving.bank import PAYMENTS, PROJECT, model
from tests.serving.test_keeping import same
from tests.serving.test_service import many, put


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A log with a snapshot, and a tail of three events behind it."""
    with open_service(tmp_path) as service:
        put(service, *many(40, 1, ordered=False))
        service.snapshot()
        put(service, pay(90_001, 4), pay(90_002, 4), pay(90_003, 4))
        service.close(snapshot=False)
        return service.folder


def early(folder: DataFolder) -> Early:
    return Early(PROJECT, folder, Ahead(folder.snapshots))


def risen(folder: DataFolder, begun: Early | None = None, project: hw.Project = PROJECT) -> Risen:
    with EmbeddedLog.open(folder.log, project.streams) as log:
        return Keeper(folder.snapshots).rise(project.views, log, begun)


def test_it_is_what_would_have_risen_later(folder: DataFolder) -> None:
    begun, later = risen(folder, early(folder)), risen(folder)
    assert begun.engine.snapshot() == later.engine.snapshot()
    assert (begun.from_offset, begun.replayed) == (later.from_offset, later.replayed)
    assert begun.replayed == 3


def test_events_that_came_after_it_rose_are_taken_in(folder: DataFolder) -> None:
    begun = early(folder)
    assert begun._found is not None
    wait([begun._found])
    with open_service(folder.path) as service:
        put(service, pay(90_004, 4))
        service.close(snapshot=False)
    found = risen(folder, begun)
    assert found.replayed == 4
    same(found.engine, risen(folder).engine)


def test_it_is_given_once_and_for_its_own_views_alone(folder: DataFolder) -> None:
    begun = early(folder)
    assert begun.take(PROJECT.views) is not None
    assert begun.take(PROJECT.views) is None
    wider = hw.FeatureView("spending", PAYMENTS, "who", {"spent": hw.sum("amount", over="60d")})
    changed = hw.Project("bank", models=[model(features=[wider], derived={})])
    assert early(folder).take(changed.views) is None
    other = risen(folder, early(folder), changed)
    assert isinstance(other.engine, Engine)
    assert other.from_offset == -1


def test_a_damaged_snapshot_is_passed_over_and_told(folder: DataFolder) -> None:
    newest = max(folder.snapshots.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    found = risen(folder, early(folder))
    assert found.damaged == (f"{newest.name}: a snapshot is damaged, or of another version",)
    same(found.engine, risen(folder).engine)


def test_where_there_is_no_log_nothing_rises(tmp_path: Path) -> None:
    assert early(DataFolder(tmp_path / "nowhere")).take(PROJECT.views) is None
    assert not (tmp_path / "nowhere").exists()
