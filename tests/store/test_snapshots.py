"""Snapshots: the newest whole one is loaded, and a damaged one costs time, not truth."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import headwater as hw
from headwater.core.errors import StoreError
from headwater.store.ahead import Ahead
from headwater.store.folder import DataFolder
from headwater.store.snapshots import Restored, Snapshots
from tests.letters import says
from tests.store.cases import PAYMENTS, VIEW, engine, feed

DAY = 86_400_000_000
RECORDED = Path(__file__).with_name("recorded")


def test_an_engine_goes_on_from_the_newest(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    assert snapshots.newest([VIEW]) == Restored(None)
    made = engine(3)
    snapshots.save(made)
    feed(made, 3, 5)
    snapshots.save(made)
    found = snapshots.newest([VIEW])
    assert found.engine is not None
    assert (found.engine.offset, found.passed_over) == (4, ())
    assert found.engine.read("spending", [1], 4)["spent_1d"].to_list() == [5.0]
    assert found.engine.snapshot() == made.snapshot()


#   a thread reads the newest  ...  an engine takes over what was read
def test_one_that_was_read_ahead(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.save(engine(2))
    newest = snapshots.save(engine(4))
    found = snapshots.newest([VIEW], Ahead(tmp_path)).engine
    assert found is not None
    assert found.snapshot() == newest.read_bytes() == engine(4).snapshot()
    feed(found, 4, 2_000)
    assert found.read("spending", [1], 1_999)["spent_1d"].to_list() == [2_000.0]


def test_what_was_read_ahead_is_given_once(tmp_path: Path) -> None:
    path = Snapshots(tmp_path).save(engine(4))
    ahead = Ahead(tmp_path)
    assert ahead.take(path) is not None
    assert ahead.take(path) is None


def test_reading_ahead_where_there_is_nothing(tmp_path: Path) -> None:
    ahead = Ahead(tmp_path / "nowhere")
    assert Snapshots(tmp_path / "nowhere").newest([VIEW], ahead) == Restored(None)


def test_a_damaged_one_that_was_read_ahead_is_passed_over(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.save(engine(2))
    newest = snapshots.save(engine(4))
    newest.write_bytes(newest.read_bytes()[:-1])
    found = snapshots.newest([VIEW], Ahead(tmp_path))
    assert found.engine is not None
    assert (found.engine.offset, len(found.passed_over)) == (1, 1)


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("version", ["HWSNAP02", "HWSNAP03"])
def test_one_of_an_older_version_is_read(tmp_path: Path, version: str, ahead: bool) -> None:
    """Written by a version that laid snapshots out otherwise; after three payments, in two shards."""
    shutil.copy(RECORDED / f"{version}.snapshot", tmp_path / f"{3:020d}.snapshot")
    found = Snapshots(tmp_path).newest([VIEW], Ahead(tmp_path) if ahead else None).engine
    assert found is not None
    feed(found, 3, 4)
    assert found.read("spending", [1], 3)["spent_1d"].to_list() == [4.0]


def test_one_of_a_format_from_elsewhere_is_passed_over(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    path = snapshots.save(engine(2))
    path.write_bytes(path.read_bytes().replace(b"HWSNAP04", b"HWSNAP99"))
    reason = f"{path.name}: a snapshot is damaged, or of another version"
    assert snapshots.newest([VIEW]) == Restored(None, (reason,), (reason,))


def test_only_some_are_kept(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, keep=2)
    for events in (1, 2, 3):
        snapshots.save(engine(events))
    assert [path.name for path in snapshots.files()] == [f"{n:020d}.snapshot" for n in (3, 2)]


def test_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.save(engine(2))
    newest = snapshots.save(engine(4))
    newest.write_bytes(newest.read_bytes()[:-1])
    found = snapshots.newest([VIEW])
    assert found.engine is not None
    assert found.engine.offset == 1
    assert found.passed_over == (f"{newest.name}: a snapshot is damaged, or of another version",)


def test_the_reasons_are_told_when_all_are_damaged(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    paths = [snapshots.save(engine(events)) for events in (2, 4)]
    for path in paths:
        path.write_bytes(path.read_bytes()[:-1])
    reasons = tuple(f"{path.name}: a snapshot is damaged, or of another version" for path in reversed(paths))
    assert snapshots.newest([VIEW]) == Restored(None, reasons, reasons)


def test_one_that_was_cut_off_by_a_crash_has_another_name(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.save(engine(2))
    (tmp_path / f"{9:020d}.new").write_bytes(b"half of it")
    found = snapshots.newest([VIEW])
    assert found.engine is not None
    assert found.engine.offset == 1


def test_one_of_other_definitions_is_passed_over(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    path = snapshots.save(engine(2))
    assert snapshots.newest([VIEW]).engine is not None
    changed = hw.FeatureView("spending", PAYMENTS, "who", {"spent": hw.sum("amount", over="2d")})
    found = snapshots.newest([changed])
    assert found.engine is None
    assert [reason.partition(":")[0] for reason in found.passed_over] == [path.name]
    assert path.exists(), "what other definitions can use is not thrown away"


def test_the_same_offset_is_written_over(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    assert snapshots.save(engine(2)) == snapshots.save(engine(2))
    assert len(snapshots.files()) == 1


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.write_text("")
    with says(
        StoreError,
        f"""
        a snapshot cannot be written
          got:      File exists
          where:    {folder / ("0" * 19 + "2.snapshot")}
          do:       make room, or look at the rights of the folder; the log alone is enough to go on
        """,
    ):
        Snapshots(folder).save(engine(2))


def test_the_data_folder(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "a" / "b").make()
    assert folder.path.is_dir()
    names = [
        path.relative_to(folder.path).as_posix() for path in (folder.log, folder.snapshots, folder.decisions)
    ]
    assert names == ["events.log", "snapshots", "decisions.db"]


def test_one_that_stands_beyond_the_end_of_the_log_is_passed_over(tmp_path: Path) -> None:
    """So it is where an older copy of the log was put in the place of the log."""
    snapshots = Snapshots(tmp_path)
    snapshots.save(engine(2))
    newest = snapshots.save(engine(4))
    for end, offset in ((4, 3), (3, 1)):
        found = snapshots.newest([VIEW], end=end)
        assert found.engine is not None
        assert found.engine.offset == offset
    assert found.damaged == found.passed_over == (f"{newest.name}: it holds 4 events, and the log only 3",)
    assert snapshots.newest([VIEW], end=1).engine is None


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{2:020d}.new").write_bytes(b"HWSNAP04 and half of it")
    kept = Snapshots(tmp_path).save(engine(4))
    assert list(tmp_path.iterdir()) == [kept]
