"""Imports: streams merged by time, in slices, and whole again when one was interrupted."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import headwater as hw
from headwater.apps.importing.ledger import Ledger
from headwater.apps.importing.run import import_files
from headwater.apps.importing.source import Source
from headwater.core.errors import DataError, StoreError
from headwater.log import EmbeddedLog
from tests.letters import says

CLOCK = pl.Datetime("us", "UTC")
A = hw.Stream("a", {"id": pl.Int64, "key": pl.Int64, "time": CLOCK, "x": pl.Float64}, id="id")
B = hw.Stream("b", {"id": pl.Int64, "key": pl.Int64, "time": CLOCK}, id="id")
HOUR = 3_600_000_000


def frame(stream: hw.Stream, ids: list[int], hours: list[float]) -> pl.DataFrame:
    """Events with ids at hours."""
    rows = pl.DataFrame({"id": ids, "key": [0] * len(ids), "time": [int(h * HOUR) for h in hours]})
    rows = rows.with_columns(pl.col("time").cast(CLOCK))
    return rows.with_columns(x=pl.col("id").cast(pl.Float64)) if stream is A else rows


def scattered(count: int) -> list[float]:
    """Hours in no order, some of them equal."""
    return [float((7919 * i) % (count // 2)) for i in range(count)]


def order(log: EmbeddedLog) -> list[tuple[str, int]]:
    """Stream and id of each event in the order of the log."""
    found = {}
    for batch in log.scan():
        for offset, number in zip(batch.offset.tolist(), batch.frame["id"], strict=True):
            found[offset] = (batch.stream, number)
    return [found[offset] for offset in sorted(found)]


@pytest.fixture
def log(tmp_path: Path) -> EmbeddedLog:
    return EmbeddedLog.open(tmp_path / "events.log", [A, B])


@pytest.mark.parametrize("budget", [10**9, 0])
@pytest.mark.parametrize("size", [1024, 4096, 10**9])
def test_slices_and_spilling_change_nothing(tmp_path: Path, log: EmbeddedLog, budget: int, size: int) -> None:
    """
    a.parquet   in no order      }  one log, by time; equal times: a before b, then by row
    b.parquet   in no order      }
    """
    count = 6_000
    hours = scattered(count)
    frame(A, list(range(count)), hours).write_parquet(tmp_path / "a.parquet", row_group_size=700)
    frame(B, list(range(count)), hours).write_parquet(tmp_path / "b.parquet")
    with log:
        reports = import_files(
            log,
            [Source(A, tmp_path / "a.parquet"), Source(B, tmp_path / "b.parquet")],
            ledger=tmp_path / "imports.json",
            budget=budget,
            size=size,
        )
        assert [(one.received, one.accepted, one.behind) for one in reports] == [(count, count, 0)] * 2
        by_time = sorted(range(count), key=lambda i: hours[i])
        got = order(log)
        assert [number for name, number in got if name == "a"] == by_time
        assert [number for name, number in got if name == "b"] == by_time
        times = {name: {number: hours[number] for number in range(count)} for name in "ab"}
        merged = [times[name][number] for name, number in got]
        assert merged == sorted(merged)
        assert log.verify().sound
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("import-")) == []


def test_an_interrupted_import_is_run_again(tmp_path: Path, log: EmbeddedLog) -> None:
    count = 6_000
    hours = scattered(count)
    rows = frame(A, list(range(count)), hours).with_columns(
        x=pl.when(pl.col("id") % 100 == 0).then(float("nan")).otherwise("x")
    )
    rows.write_parquet(tmp_path / "a.parquet")

    def stop(stage: str, done: int, _total: int) -> None:
        if stage.startswith("appending") and done > count // 2:
            raise KeyboardInterrupt

    sources, ledger = [Source(A, tmp_path / "a.parquet")], tmp_path / "imports.json"
    with log:
        with pytest.raises(KeyboardInterrupt):
            import_files(log, sources, ledger=ledger, progress=stop, size=1024)
        stopped = log.end()
        assert count // 2 < stopped < count
        (report,) = import_files(log, sources, ledger=ledger, size=1024)
        assert (report.duplicates, report.accepted) == (stopped, count - stopped - count // 100)
        assert log.dead_letter_counts() == {"not-finite": count // 100}
        kept = [number for number in sorted(range(count), key=lambda i: hours[i]) if number % 100]
        assert order(log) == [("a", number) for number in kept]  # as if it had never been interrupted
        (again,) = import_files(log, sources, ledger=ledger, size=1024)
        assert (again.accepted, log.dead_letter_counts()) == (0, {"not-finite": count // 100})


def test_a_stream_without_ids_goes_in_at_once_or_not_at_all(tmp_path: Path) -> None:
    anonymous = hw.Stream("c", {"key": pl.Int64, "time": CLOCK})
    count = 5_000
    frame(B, list(range(count)), scattered(count)).drop("id").write_parquet(tmp_path / "c.parquet")
    told: list[int] = []
    with EmbeddedLog.open(tmp_path / "events.log", [anonymous]) as log:
        import_files(
            log,
            [Source(anonymous, tmp_path / "c.parquet")],
            ledger=tmp_path / "imports.json",
            size=1024,
            progress=lambda stage, done, _: told.append(done) if stage.startswith("app") else None,
        )
        assert told == [count]
        with pytest.raises(DataError, match="imported before"):
            import_files(log, [Source(anonymous, tmp_path / "c.parquet")], ledger=tmp_path / "imports.json")


def test_rows_of_a_dead_letter_are_those_of_the_file(tmp_path: Path, log: EmbeddedLog) -> None:
    lines = [f'{{"id": {i}, "key": 1, "time": "2026-01-01T00:00:00Z", "x": {i}}}' for i in range(140_000)]
    lines[139_999] = lines[139_999].replace("139999}", '"much"}')
    (tmp_path / "a.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with log:
        import_files(log, [Source(A, tmp_path / "a.ndjson")], ledger=tmp_path / "imports.json")
        (letter,) = log.dead_letters()
        assert (letter.source, letter.message) == ("a.ndjson[139999]", "x has another type: 'much'")


def test_ndjson_may_leave_out_what_is_null(tmp_path: Path, log: EmbeddedLog) -> None:
    (tmp_path / "a.ndjson").write_text(
        '{"id": 1, "key": 1, "time": "2026-01-01T00:00:00Z", "x": 1}\n'
        '{"id": 2, "key": 1, "time": "2026-01-01T00:00:00Z"}\n\n',
        encoding="utf-8",
    )
    with log:
        import_files(log, [Source(A, tmp_path / "a.ndjson")], ledger=tmp_path / "imports.json")
        (batch,) = log.scan()
        assert batch.frame["x"].to_list() == [1.0, None]


def test_a_damaged_ledger(tmp_path: Path) -> None:
    (tmp_path / "imports.json").write_text("{", encoding="utf-8")
    with says(
        StoreError,
        f"""
        the ledger of imported files is damaged
          expected: JSON
          where:    {tmp_path}/imports.json
          do:       delete it if you know which files were imported; it guards against importing one twice
        """,
    ):
        Ledger(tmp_path / "imports.json", 0, [])
