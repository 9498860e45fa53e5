"""The id index: nothing is forgotten, over memory, runs and merges; equal keys only say where to look."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.batch import Int64
from headwater.log import EmbeddedLog
from headwater.log.duplicates import judge
from headwater.log.ids import FAN, RECENT, IdIndex, keys_of, probe_of
from headwater.log.runs import Run, load, merged_run, save, sorted_run
from headwater.log.schema import StoredSchema
from tests.log.lender import NOW, PAYMENTS, PROFILES, many, opened, payments

CHUNK = RECENT // 2
KEYS = [7288634180533250744, -8734016213883011742, -2079565798831422627]


def held(index: IdIndex, keys: Int64) -> list[tuple[int, int]]:
    order = np.argsort(keys)
    rows, offsets = index.find(keys[order])
    return sorted(zip(order[rows].tolist(), offsets.tolist(), strict=True))


@given(st.lists(st.integers(-3, 3), max_size=20), st.lists(st.integers(-4, 4), max_size=8))
def test_a_run_finds_every_offset_of_a_key(keys: list[int], asked: list[int]) -> None:
    run = sorted_run(0, len(keys), np.array(keys, np.int64), np.arange(len(keys)))
    asked.sort()
    rows, offsets = run.find(np.array(asked, np.int64)) if asked else (np.empty(0), np.empty(0))
    expected = [(row, at) for row, key in enumerate(asked) for at, other in enumerate(keys) if key == other]
    assert sorted(zip(rows.tolist(), offsets.tolist(), strict=True)) == expected


def test_runs_survive_their_files_and_broken_ones_are_left_out(tmp_path: Path) -> None:
    one = sorted_run(0, 3, np.array([7, -7, 7]), np.array([0, 1, 2]))
    kept = save(merged_run([one, sorted_run(3, 4, np.array([0]), np.array([3]))]), tmp_path, probe=5)
    assert kept.file is not None
    again = load(kept.file, 0, 4, probe=5)
    assert again is not None
    assert (again.keys.tolist(), again.offsets.tolist()) == ([-7, 0, 7, 7], [1, 3, 0, 2])
    assert load(kept.file, 0, 4, probe=6) is None  # another hash
    assert load(kept.file, 1, 4, probe=5) is None  # other offsets
    kept.file.write_bytes(kept.file.read_bytes()[:-1])
    assert load(kept.file, 0, 4, probe=5) is None  # cut off
    assert load(tmp_path / "gone.ids", 0, 4, probe=5) is None


@pytest.mark.parametrize("ascending", [True, False])
def test_nothing_is_forgotten_over_runs_and_merges(tmp_path: Path, ascending: bool) -> None:
    chunks = 2 * FAN * FAN + 3
    keys = np.arange(chunks * CHUNK)
    if not ascending:
        keys = np.random.default_rng(1).permutation(keys)
    with ThreadPoolExecutor(1) as background:
        index = IdIndex(tmp_path, 0, [], background, lambda _new, _old: None)
        for start in range(0, len(keys), CHUNK):
            index.add(keys[start : start + CHUNK], np.arange(start, start + CHUNK), fresh=True)
            index.settle()
        assert len(index.runs) < 2 * FAN
        assert [run.low for run in index.runs[1:]] == [run.high for run in index.runs[:-1]]
        some = np.random.default_rng(2).integers(0, len(keys), 1_000)
        assert held(index, keys[some]) == list(enumerate(some.tolist()))
        assert held(index, np.array([-1, len(keys)])) == []


def test_a_slow_disk_holds_nobody_up_and_is_caught_up_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, listed = Event(), list[int]()

    def slow(run: Run, folder: Path, probe: int) -> Run:
        assert go_on.wait(20)
        return save(run, folder, probe)

    monkeypatch.setattr("headwater.log.ids.save", slow)
    keys = np.arange(6 * RECENT)
    with ThreadPoolExecutor(1) as background:
        index = IdIndex(tmp_path, 0, [], background, lambda new, _old: listed.extend(one.high for one in new))
        for start in range(0, len(keys), CHUNK):
            index.add(keys[start : start + CHUNK], keys[start : start + CHUNK], fresh=True)
        assert listed == []
        assert held(index, keys[::999]) == list(enumerate(keys[::999].tolist()))  # all are known meanwhile
        go_on.set()
        index.settle()
    assert {run.high for run in index.runs} <= set(listed)
    assert all(run.file is not None for run in index.runs)
    assert held(index, keys[::999]) == list(enumerate(keys[::999].tolist()))


def test_equal_keys_of_different_ids_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as background:
        index = IdIndex(tmp_path, 0, [], background, lambda _new, _old: None)
        index.add(np.array([5, 5, 6]), np.array([0, 1, 2]))
        index.add(np.array([5]), np.array([3]))
        assert held(index, np.array([5])) == [(0, 0), (0, 1), (0, 3)]
        index.add(np.arange(RECENT) + 100, np.arange(4, RECENT + 4))  # all of it goes into a run
        index.add(np.array([5]), np.array([RECENT + 4]))
        assert held(index, np.array([5])) == [(0, 0), (0, 1), (0, 3), (0, RECENT + 4)]


def test_a_key_is_never_trusted(tmp_path: Path) -> None:
    # The index says that the events at 0 and 1 may have the id "b". Neither has, so "b" is new.
    schema = StoredSchema.of(PROFILES)
    time = pl.Series([NOW], dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))

    def profile(name: str) -> pl.DataFrame:
        return pl.DataFrame({"id": [name], "time": time, "income": [1.0]})

    stored = pl.concat([profile("a"), profile("c")])
    with ThreadPoolExecutor(1) as background:
        index = IdIndex(tmp_path, 0, [], background, lambda _new, _old: None)
        key = keys_of(pl.Series(["b"]), 0)
        index.add(np.repeat(key, 2), np.array([0, 1]))
        verdict = judge(profile("b"), schema, index, 0, lambda offsets: stored[offsets])
        assert verdict.outcome is not None
        assert verdict.outcome.tolist() == [0]
        assert verdict.known.tolist() == [-1]


def test_hashes_are_the_same_every_day() -> None:
    # What is in the files of sorted ids. Were this to change, logs would make their files anew, once.
    assert keys_of(pl.Series(["", "a", "ö" * 40]), 7).tolist() == KEYS
    assert probe_of(1) == probe_of(1) != probe_of(2)
    assert keys_of(pl.Series(["a"]), 8)[0] != KEYS[1]


def test_ids_are_known_after_reopening(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS]) as log:
        log.append("payments", many(3 * RECENT), arrival=NOW)
        log.append("payments", many(100, 3 * RECENT), arrival=NOW)
    assert len(list((tmp_path / "events.log-ids").iterdir())) == 1
    with opened(tmp_path, [PAYMENTS]) as log:
        some = [0, RECENT, 3 * RECENT - 1, 3 * RECENT, 3 * RECENT + 99]
        frame = pl.concat([many(1, i) for i in some])
        receipt = log.append("payments", frame, arrival=NOW)
        assert receipt.known.tolist() == some
        assert log.append("payments", many(3 * RECENT), arrival=NOW).duplicates == 3 * RECENT


@pytest.mark.parametrize("harm", ["delete", "cut", "stray"])
def test_sorted_ids_are_made_again_when_they_are_gone(tmp_path: Path, harm: str) -> None:
    with opened(tmp_path, [PAYMENTS]) as log:
        log.append("payments", many(RECENT), arrival=NOW)
        log.append("payments", many(RECENT, RECENT), arrival=NOW)
    first, _ = sorted((tmp_path / "events.log-ids").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    if harm == "delete":
        first.unlink()
    elif harm == "cut":
        first.write_bytes(first.read_bytes()[:1000])
    else:
        (first.parent / "stray.ids").write_bytes(b"left by a crash")
    with opened(tmp_path, [PAYMENTS]) as log:
        assert log.append("payments", many(2 * RECENT), arrival=NOW).duplicates == 2 * RECENT
        assert log.verify().problems == ()
    assert not (first.parent / "stray.ids").exists()


def test_a_damaged_file_of_sorted_ids_is_reported(tmp_path: Path) -> None:
    with opened(tmp_path, [PAYMENTS]) as log:
        log.append("payments", many(RECENT), arrival=NOW)
    (file,) = (tmp_path / "events.log-ids").iterdir()
    content = bytearray(file.read_bytes())
    content[5_000] ^= 1
    file.write_bytes(content)
    with EmbeddedLog.open(tmp_path / "events.log", writer=False) as log:
        (problem,) = log.verify().problems
    assert str(problem) == (
        "sorted ids are damaged: duplicates may be missed\n"
        f"  where:    stream 'payments', file {file.name}\n"
        "  do:       delete the folder events.log-ids while nobody writes; it is made again from the log"
    )


def test_small_unsigned_and_huge_integer_ids() -> None:
    assert keys_of(pl.Series([255, 0], dtype=pl.UInt8), 0).tolist() == [255, 0]
    huge = keys_of(pl.Series([2**64 - 1, 2**63, 1], dtype=pl.UInt64), 0)
    assert len(set(huge.tolist())) == 3


def test_a_refusal_does_not_show_a_personal_id(tmp_path: Path) -> None:
    import headwater as hw

    people = hw.Stream(
        "people", {"ssn": pl.String, "time": pl.Date, "name": pl.String}, id="ssn", personal=["ssn"]
    )
    day = payments([1])["time"].dt.date()
    with opened(tmp_path, [people]) as log:
        for name in ("a", "b"):
            receipt = log.append(
                "people", pl.DataFrame({"ssn": ["123-45"], "time": day, "name": [name]}), arrival=NOW
            )
        assert receipt.refusals[0].message == "an id of stream 'people' came again with other content in name"


def test_events_are_taken_even_if_the_disk_will_not_have_their_sorted_ids(tmp_path: Path) -> None:
    (tmp_path / "events.log-ids").write_text("in the way")
    for start in range(0, 8 * RECENT, 4 * RECENT):
        with opened(tmp_path, [PAYMENTS]) as log:
            for more in range(0, 4 * RECENT, RECENT):
                log.append("payments", many(RECENT, start + more), arrival=NOW)
            assert log.append("payments", many(RECENT // 2, RECENT), arrival=NOW).duplicates == RECENT // 2
            assert log.append("payments", many(10, start), arrival=NOW).duplicates == 10
