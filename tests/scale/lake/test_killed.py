"""Killed at any moment, the next export goes on: no row is missing, none is twice, and no file is half.

::

    write new files ─┬─ note what is to be ─┬─ rename, rename, ... ─┬─ note that it is done
                     x removed              x                       x
                                            └─ goes on with the renames

"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from headwater.scale.lake.parquet import files
from tests.scale.lake.shore import READINGS, STREAMS, VISITS, bits, expected, exported, filled, opener


def child(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.scale.lake.killed", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def held(form: str, folder: Path) -> pl.DataFrame:
    if form == "delta":
        return pl.read_delta(str(folder))
    return pl.concat(pl.read_parquet(path, hive_partitioning=False) for path in files(folder))


def test_at_each_thing_that_is_done_to_files(tmp_path: Path) -> None:
    with filled(tmp_path / "events.log", rounds=3, count=20) as log:
        ended = child(tmp_path / "events.log", tmp_path / "lakes", "parquet", "all")
        assert (ended.returncode, ended.stderr) == (0, "")
        deaths = int(ended.stdout)
        assert deaths > 25  # every write, every rename, every note
        want = bits(expected(log, VISITS))
        for nth in range(1, deaths + 2):
            place = tmp_path / "lakes" / str(nth) / "events" / "visits"
            assert bits(held("parquet", place)).sort("offset").equals(want), nth
            assert list(place.glob("*/*.coming")) == []


@pytest.mark.parametrize("form", ["parquet", "delta"])
def test_by_kill_9(form: str, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with filled(tmp_path / "events.log") as log:
        for nth in (3, 17, 40):  # things, or milliseconds; each goes on from what the one before has left
            ended = child(tmp_path / "events.log", lake, form, "kill", nth)
            assert ended.returncode == -signal.SIGKILL, ended.stderr
        exported(log, opener(form, lake))
        for stream in STREAMS:
            found = held(form, lake / "events" / stream.name).sort("offset")
            want = expected(log, stream)
            assert bits(found.select(want.columns)).equals(bits(want))
    assert READINGS.name in {path.name for path in (lake / "events").iterdir()}
