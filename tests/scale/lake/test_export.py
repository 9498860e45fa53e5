"""What is in the lake is what is in the log: each row once, every bit, whoever reads it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

import headwater as hw
from headwater.core.errors import DataError, StoreError
from headwater.log.embedded import EmbeddedLog
from headwater.scale.lake.delta import DeltaTableOf, look
from headwater.scale.lake.export import alone
from headwater.scale.lake.parquet import ParquetTable, State, files
from headwater.scale.lake.private import Private
from headwater.scale.lake.source import Chunk, Events, events_table
from headwater.scale.lake.table import titles
from tests.letters import says
from tests.scale.lake.shore import (
    READINGS,
    SECRET,
    STREAMS,
    VISITS,
    bits,
    expected,
    exported,
    filled,
    more,
    opener,
    readings,
    visits,
)

FORMS = ("parquet", "delta")


def by_polars(form: str, folder: Path) -> pl.DataFrame:
    if form == "delta":
        return pl.read_delta(str(folder))
    return pl.read_parquet(folder / "*" / "*.parquet", hive_partitioning=True, missing_columns="insert")


def by_duckdb(form: str, folder: Path) -> pl.DataFrame:
    found = (
        DeltaTable(str(folder)).file_uris()
        if form == "delta"
        else [str(folder / "*" / "*.parquet")]  # as an analyst writes it
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        arrow = connection.sql(
            "FROM read_parquet(?, hive_partitioning = true, union_by_name = true)", params=[found]
        ).to_arrow_table()
    frame = pl.from_arrow(arrow)
    assert isinstance(frame, pl.DataFrame)
    return frame


@pytest.fixture
def log(tmp_path: Path) -> EmbeddedLog:
    return filled(tmp_path / "events.log")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", [by_polars, by_duckdb])
def test_every_bit_is_read_back(form: str, reader: object, log: EmbeddedLog, tmp_path: Path) -> None:
    assert callable(reader)
    exported(log, opener(form, tmp_path))
    for number in (3, 4):
        more(log, number)
        exported(log, opener(form, tmp_path, large=3_000))  # small files: some grow, some are new
    for stream in STREAMS:
        want = expected(log, stream)
        found = reader(form, tmp_path / "events" / stream.name).sort("offset")
        dates = found["event_date"].cast(pl.Date)
        assert_frame_equal(bits(found.select(want.columns).cast(want.schema)), bits(want))
        assert dates.to_list() == want["time"].cast(pl.Date).to_list()


@pytest.mark.parametrize("form", FORMS)
def test_types_are_those_that_every_reader_has(form: str, log: EmbeddedLog, tmp_path: Path) -> None:
    exported(log, opener(form, tmp_path))
    schema = by_polars(form, tmp_path / "events" / "readings").schema
    table = events_table(READINGS, Private("plain"), "day")
    assert {name: schema[name] for name in table.schema} == dict(table.schema)
    assert schema["huge"] == pl.Int64
    assert schema["nanos"] == pl.Int64
    assert schema["kind"] == pl.String


@pytest.mark.parametrize("form", FORMS)
def test_an_export_with_nothing_new_changes_no_file(form: str, log: EmbeddedLog, tmp_path: Path) -> None:
    first = exported(log, opener(form, tmp_path))
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.parquet"))
    again = exported(log, opener(form, tmp_path))
    assert [one.rows for one in first] == [1_200, 21]
    assert [(one.rows, one.files, one.place) for one in again] == [(0, 0, 1_221), (0, 0, 1_221)]
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.parquet")) == before


def test_a_large_file_grows_no_more(log: EmbeddedLog, tmp_path: Path) -> None:
    exported(log, opener("parquet", tmp_path), streams=[READINGS], unit="month")
    more(log, 3)
    exported(log, opener("parquet", tmp_path), streams=[READINGS], unit="month")
    assert names(tmp_path) == ["event_month=2026-01/part-00000000000000000000.parquet"]
    more(log, 4)
    exported(log, opener("parquet", tmp_path, large=1_000), streams=[READINGS], unit="month")
    more(log, 5)
    exported(log, opener("parquet", tmp_path, large=1_000), streams=[READINGS], unit="month")
    assert names(tmp_path) == [
        "event_month=2026-01/part-00000000000000000000.parquet",
        "event_month=2026-01/part-00000000000000001628.parquet",
        "event_month=2026-01/part-00000000000000002035.parquet",
    ]
    found = by_polars("parquet", tmp_path / "events" / "readings").sort("offset")
    want = expected(log, READINGS)
    assert_frame_equal(bits(found.select(want.columns)), bits(want))


def names(lake: Path) -> list[str]:
    folder = lake / "events" / "readings"
    return sorted(path.relative_to(folder).as_posix() for path in files(folder))


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_that_has_grown(form: str, tmp_path: Path) -> None:
    """Older rows read null, whether their file was written anew or not."""
    before = hw.Stream("visits", {"who": pl.String, "time": pl.Date})
    after = hw.Stream("visits", {"who": pl.String, "time": pl.Date, "way": pl.Float64})
    with EmbeddedLog.open(tmp_path / "events.log", [before]) as log:
        log.append("visits", visits(8).drop("income"), arrival=1)
        exported(log, opener(form, tmp_path), streams=[before])
    with EmbeddedLog.open(tmp_path / "events.log", [after]) as log:
        few = visits(2, start=4).drop("income").with_columns(way=pl.lit(1.5))
        log.append("visits", few, arrival=2)
        exported(log, opener(form, tmp_path), streams=[after])
    for reader in (by_polars, by_duckdb):
        found = reader(form, tmp_path / "events" / "visits").sort("offset")
        assert found["way"].to_list() == [None] * 8 + [1.5] * 2
        assert found["offset"].to_list() == list(range(10))


@pytest.mark.parametrize("form", FORMS)
def test_a_type_that_changed_is_refused(form: str, tmp_path: Path) -> None:
    with EmbeddedLog.open(tmp_path / "a.log", [VISITS]) as log:
        log.append("visits", visits(3), arrival=1)
        exported(log, opener(form, tmp_path), streams=[VISITS])
    other = hw.Stream("visits", {"who": pl.Int64, "time": pl.Date, "income": pl.Float64}, personal=["who"])
    where = tmp_path / "events" / "visits"
    with (
        EmbeddedLog.open(tmp_path / "b.log", [other]) as log,
        says(
            DataError,
            f"""
        the column 'who' has another type than in the lake
          expected: string
          got:      int64
          where:    {where}: who
          do:       export into another folder; this one may stay as it is
        the personal values of the column 'income' are treated otherwise than in the lake
          expected: plain
          got:      not personal
          where:    {where}: income
          do:       export into another folder; this one may stay as it is, or set --personal as it was
        """,
        ),
    ):
        exported(log, opener(form, tmp_path), streams=[other])


@pytest.mark.parametrize("form", FORMS)
def test_personal_values_are_left_out_or_hashed(form: str, log: EmbeddedLog, tmp_path: Path) -> None:
    exported(log, opener(form, tmp_path / "out"), private=Private())
    left = by_polars(form, tmp_path / "out" / "events" / "visits")
    assert set(left.columns) == {"offset", "arrived_at", "time", "event_date"}
    exported(log, opener(form, tmp_path / "hashed"), private=Private("hash", SECRET))
    hashed = by_polars(form, tmp_path / "hashed" / "events" / "visits").sort("offset")
    ada, bob = Private("hash", SECRET).text("Ada"), Private("hash", SECRET).text("Bob")
    assert hashed["who"].to_list() == [ada, bob, None] * 7
    assert hashed["income"].n_unique() == 1
    assert hashed["income"].dtype == pl.String
    for path in (*(tmp_path / "out").rglob("*"), *(tmp_path / "hashed").rglob("*")):
        assert path.is_dir() or b"Ada" not in path.read_bytes()


def test_values_that_were_written_are_not_left_out_later(log: EmbeddedLog, tmp_path: Path) -> None:
    exported(log, opener("parquet", tmp_path), streams=[VISITS], private=Private("hash", SECRET))
    where = tmp_path / "events" / "visits"
    do = "export into another folder and delete this one, or ask for the values: --personal plain"
    with says(
        DataError,
        f"""
        the column 'who' holds personal values that are now to be left out
          expected: a lake without the column
          got:      rows with it (hash)
          where:    {where}: who
          do:       {do}
        the column 'income' holds personal values that are now to be left out
          expected: a lake without the column
          got:      rows with it (hash)
          where:    {where}: income
          do:       {do}
        """,
    ):
        exported(log, opener("parquet", tmp_path), streams=[VISITS], private=Private())


def test_hashes_need_a_key() -> None:
    with says(
        DataError,
        """
        personal values are to be hashed, and there is no key for it
          expected: HEADWATER_LAKE_HASH_KEY, at least 16 characters
          got:      none
          do:       set it, or HEADWATER_LAKE_HASH_KEY_FILE; and keep it: under another key, hashes differ
        """,
    ):
        Private("hash")


@pytest.mark.parametrize("form", FORMS)
def test_another_log_is_refused(form: str, log: EmbeddedLog, tmp_path: Path) -> None:
    exported(log, opener(form, tmp_path), streams=[READINGS])
    with (
        filled(tmp_path / "other.log", rounds=2) as other,
        says(
            StoreError,
            """
        the table events/readings of the lake was made from another log
          expected: one that reaches 1,221 and holds visits@1768953600000002 before it
          got:      814
          where:    events/readings
          do:       export into another folder; a log that was restored from a copy needs a new lake, too
        """,
        ),
    ):
        exported(other, opener(form, tmp_path), streams=[READINGS])
    with EmbeddedLog.open(tmp_path / "long.log", STREAMS) as other:
        other.append("readings", readings(2_000), arrival=7)
        with pytest.raises(StoreError, match=r"got:      readings@7\n"):
            exported(other, opener(form, tmp_path), streams=[READINGS])


def test_one_export_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "_lake.lock"
    with (
        alone(path, "the lake"),
        says(
            StoreError,
            """
        another export is writing to this lake
          expected: one export at a time
          where:    the lake
          do:       wait for it; `headwater lake follow` and a server with HEADWATER_LAKE are exports, too
        """,
        ),
        alone(path, "the lake"),
    ):
        pass
    with alone(path, "the lake"):
        pass


def test_of_two_that_write_to_a_delta_table_one_is_refused(log: EmbeddedLog, tmp_path: Path) -> None:
    """Without a lock, as on two machines: Delta itself lets only one go on from a place."""
    source = Events(log, READINGS, Private())
    address = str(tmp_path / "readings")
    DeltaTableOf.open(address, source.table)
    one, two = (DeltaTableOf.open(address, source.table) for _ in range(2))
    (chunk,) = source.chunks(0, source.end())
    one.append(chunk, "a")
    with says(
        StoreError,
        f"""
        another export has written to this table of the lake
          expected: a table that reaches 0
          got:      Failed to commit transaction: Concurrent transaction failed.
          where:    {Path(address).as_uri()}/
          do:       let one export write a lake; then run it again, nothing is in it twice
        """,
    ):
        two.append(chunk, "a")
    assert pl.read_delta(address)["offset"].n_unique() == len(pl.read_delta(address)) == 1_200


def test_small_files_of_a_delta_table_are_put_together(log: EmbeddedLog, tmp_path: Path) -> None:
    source = Events(log, READINGS, Private(), "month")
    address = str(tmp_path / "readings")
    table = DeltaTableOf.open(address, source.table)
    (whole,) = source.chunks(0, source.end())
    for number in range(70):
        rows = slice(number * 10, number * 10 + 10)
        table.append(Chunk(number + 1, whole.frame[rows], whole.dates[rows]), f"m{number}")
    found = look(address)
    assert found is not None
    state, count, _ = found
    assert count < 10
    assert (state.place, state.mark, state.rows) == (70, "m69", 700)
    assert pl.read_delta(address).sort("offset")["id"].to_list() == list(range(700))


def test_somebody_elses_files_are_left_alone(log: EmbeddedLog, tmp_path: Path) -> None:
    folder = tmp_path / "events" / "readings"
    folder.mkdir(parents=True)
    pl.DataFrame({"a": [1]}).write_parquet(folder / "mine.parquet")
    with says(
        StoreError,
        f"""
        there are files where a table of the lake is to be, and nothing says how far they go
          expected: an empty folder, or one with _lake.json
          got:      mine.parquet
          where:    {folder}
          do:       export into another folder, or move these files away
        """,
    ):
        exported(log, opener("parquet", tmp_path))
    other = tmp_path / "d" / "events" / "readings"
    pl.DataFrame({"a": [1]}).write_delta(str(other))
    with says(
        StoreError,
        f"""
        there is a Delta table where a table of the lake is to be, and nothing says how far it goes
          expected: no table, or one that Headwater made
          where:    {other}
          do:       export into another folder
        """,
    ):
        exported(log, opener("delta", tmp_path / "d"))


def test_a_note_that_cannot_be_read(log: EmbeddedLog, tmp_path: Path) -> None:
    exported(log, opener("parquet", tmp_path))
    note = tmp_path / "events" / "readings" / "_lake.json"
    note.write_text(note.read_text(encoding="utf-8").replace('"format": 1', '"format": 2'), encoding="utf-8")
    with says(
        StoreError,
        f"""
        the note of a table in the lake cannot be read
          expected: JSON of format 1
          got:      KeyError: 2
          where:    {note}
          do:       export into another folder, or move this table away; the next export makes it anew
        """,
    ):
        State.read(note.parent)


def test_names_that_a_lake_cannot_have(tmp_path: Path) -> None:
    odd = hw.Stream("odd", {"time": pl.Date, "Offset": pl.Int64, "a b": pl.Int64})
    with (
        EmbeddedLog.open(tmp_path / "events.log", [odd]) as log,
        says(
            DataError,
            """
        the column 'offset' cannot be told from another column of its table
          expected: names that differ by more than case, and are none of the lake's own
          got:      offset, Offset
          where:    events/odd
          do:       rename the stream's column in a new stream
        the column 'Offset' cannot be told from another column of its table
          expected: names that differ by more than case, and are none of the lake's own
          got:      offset, Offset
          where:    events/odd
          do:       rename the stream's column in a new stream
        the column 'a b' has a name that tables of a lake cannot have
          expected: no space and none of , ; { } ( ) =
          got:      ' '
          where:    events/odd
          do:       rename the stream's column in a new stream
        """,
        ),
    ):
        Events(log, odd, Private())


def test_the_reference_follows_from_the_definition() -> None:
    text = titles([events_table(VISITS, Private("hash", SECRET), "month")])
    assert text.splitlines() == [
        "## events/visits",
        "",
        "The events of the stream visits, one row each, by the date of the event.",
        "",
        "| column | type | meaning |",
        "|---|---|---|",
        "| `offset` | int64 | The event's place in the log; unique. |",
        "| `arrived_at` | timestamp | When the log accepted it, UTC. |",
        "| `who` | string | `who` of the event. Personal: a keyed hash. |",
        "| `time` | date | `time` of the event, when it happened. |",
        "| `income` | string | `income` of the event. Personal: a keyed hash. |",
        "| `event_month` | string, `YYYY-MM` | The partition. |",
    ]


def test_what_a_killed_export_left_is_finished_or_removed(log: EmbeddedLog, tmp_path: Path) -> None:
    exported(log, opener("parquet", tmp_path), streams=[READINGS])
    folder = tmp_path / "events" / "readings"
    left = folder / "event_date=2026-01-01" / "_part-9.parquet.coming"
    left.write_bytes(b"half")
    ParquetTable.open(folder, events_table(READINGS, Private("plain"), "day"))
    assert not left.exists()
