"""Records: every value comes back, and the bytes depend on the content alone."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.errors import LogError
from headwater.core.instant import DAY
from headwater.log.format import Codec, concat, microseconds
from headwater.log.schema import StoredColumn, StoredSchema
from tests.letters import says

DTYPES: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]] = {
    "i8": (pl.Int8(), st.integers(-128, 127)),
    "i16": (pl.Int16(), st.integers(-(2**15), 2**15 - 1)),
    "i32": (pl.Int32(), st.integers(-(2**31), 2**31 - 1)),
    "i64": (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    "u8": (pl.UInt8(), st.integers(0, 2**8 - 1)),
    "u16": (pl.UInt16(), st.integers(0, 2**16 - 1)),
    "u32": (pl.UInt32(), st.integers(0, 2**32 - 1)),
    "u64": (pl.UInt64(), st.integers(0, 2**64 - 1)),
    "f32": (pl.Float32(), st.floats(width=32)),
    "f64": (pl.Float64(), st.floats()),
    "flag": (pl.Boolean(), st.booleans()),
    "text": (pl.String(), st.text(max_size=30)),
    "side": (pl.Enum(["credit", "debit"]), st.sampled_from(["credit", "debit"])),
    "wide": (pl.Enum([f"c{i}" for i in range(300)]), st.integers(0, 299).map(lambda i: f"c{i}")),
    "kind": (pl.Categorical(), st.sampled_from(["a", "b", "ö"])),
    "day": (pl.Date(), st.dates()),
    "ms": (pl.Datetime("ms", "Europe/Prague"), st.integers(-(2**40), 2**40)),
    "ns": (pl.Datetime("ns", "UTC"), st.integers(-(2**60), 2**60)),
    "time": (pl.Datetime("us", "UTC"), st.integers(-(2**52), 2**52)),
}
CODEC = Codec(
    StoredSchema(
        "everything", tuple(StoredColumn.of(name, dtype) for name, (dtype, _) in DTYPES.items()), None, "time"
    )
)


@st.composite
def frames(draw: st.DrawFn, min_size: int = 0) -> pl.DataFrame:
    rows = draw(st.integers(min_size, 12))
    nulls = draw(st.booleans())
    columns = []
    for name, (dtype, values) in DTYPES.items():
        one = values | st.none() if nulls and name != "time" else values
        drawn = draw(st.lists(one, min_size=rows, max_size=rows))
        if isinstance(dtype, pl.Datetime):
            columns.append(pl.Series(name, drawn, dtype=pl.Int64).cast(dtype))
        else:
            columns.append(pl.Series(name, drawn, dtype=dtype))
    return pl.DataFrame(columns)


def record(frame: pl.DataFrame) -> bytes:
    return CODEC.encode(CODEC.columns(frame))


def bits(frame: pl.DataFrame) -> pl.DataFrame:
    """Floats as their bits, so that NaN and -0.0 are told apart."""
    return frame.with_columns(
        pl.col("f32").reinterpret(dtype=pl.UInt32), pl.col("f64").reinterpret(dtype=pl.UInt64)
    )


@settings(max_examples=40)
@given(frames())
def test_every_value_comes_back_to_the_bit(frame: pl.DataFrame) -> None:
    back = CODEC.frame(CODEC.parse(record(frame)))
    assert back.schema == frame.schema
    assert bits(back).equals(bits(frame))


@settings(max_examples=40)
@given(frames(min_size=1), st.data())
def test_the_bytes_do_not_depend_on_how_rows_were_cut(frame: pl.DataFrame, data: st.DataObject) -> None:
    # frame      |  a  b  c  d  e  |
    # cut        |  a  b | c  d  e |     and joined, as arrays and as chunks of a frame
    cut = data.draw(st.integers(0, frame.height))
    parts = [frame[:cut], frame[cut:]]
    columns = [CODEC.parse(record(part)) for part in parts]
    joined = concat(columns)
    assert CODEC.encode(joined) == record(frame) == record(pl.concat(parts, rechunk=False))
    assert [CODEC.encode(joined[:cut]), CODEC.encode(joined[cut:])] == [record(part) for part in parts]


def test_the_bytes_do_not_depend_on_what_a_null_hides() -> None:
    schema = StoredSchema("s", (StoredColumn("a", "Int64"), StoredColumn("b", "String")), None, "a")
    codec = Codec(schema)
    plain = pl.DataFrame({"a": [1, None], "b": ["x", None]})
    hidden = pl.DataFrame({"a": [1, 2], "b": ["x", "hidden"]}).with_columns(
        pl.when(pl.col("a") == 1).then(pl.all())
    )
    assert codec.encode(codec.columns(hidden)) == codec.encode(codec.columns(plain))


def test_a_record_is_what_the_page_says() -> None:
    schema = StoredSchema("s", (StoredColumn("a", "Int16"), StoredColumn("b", "String")), None, "a")
    codec = Codec(schema)
    got = codec.encode(
        codec.columns(pl.DataFrame({"a": [1, None], "b": ["ab", "ö"]}, {"a": pl.Int16, "b": pl.String}))
    )
    assert got == (
        b"HWR\x01\x02\x00\x00\x00"
        b"\x02\x00\x00\x00"  # header: magic, version, columns, codec; rows
        b"\x01\x02\x00\x00\x00\x00\x00\x00"  # a: has nulls, 2 bytes wide
        b"\x02\x01\x00\x00\x04\x00\x00\x00"  # b: text of 4 bytes
        b"\x00\x00\x00\x00"  # to a multiple of 8
        b"\x01\x00\x00\x00\x00\x00\x00\x00"  # a: the first is there
        b"\x01\x00\x00\x00\x00\x00\x00\x00"  # a: 1 and nothing
        b"\x00\x00\x00\x00\x02\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00"  # b: ends
        b"ab\xc3\xb6\x00\x00\x00\x00"  # b: characters
    )


@pytest.mark.parametrize(
    ("dtype", "value", "time"),
    [
        (pl.Date(), -1, -DAY),
        (pl.Datetime("ms", "UTC"), -1, -1_000),
        (pl.Datetime("us", "UTC"), -1, -1),
        (pl.Datetime("ns", "UTC"), -1, -1),  # towards the past: never later than it was
        (pl.Datetime("ns", "UTC"), 1_999, 1),
    ],
)
def test_times_of_all_units_are_microseconds(dtype: pl.DataType, value: int, time: int) -> None:
    assert microseconds(pl.Series([value]).to_numpy(), dtype).tolist() == [time]


SMALL = Codec(StoredSchema("s", (StoredColumn("a", "Int64"),), None, "a"))
ONE = SMALL.encode(SMALL.columns(pl.DataFrame({"a": [1]})))


def test_a_record_of_a_newer_version_is_not_guessed_at() -> None:
    with says(
        LogError,
        """
        a record was written by a newer Headwater
          expected: record version 1, codec 0
          got:      record version 2, codec 0
          do:       open this log with the Headwater that wrote it, or a newer one
        """,
    ):
        SMALL.parse(ONE[:3] + b"\x02" + ONE[4:])


def test_a_sealed_column_is_not_guessed_at() -> None:
    with says(
        LogError,
        """
        the column 'a' is sealed
          expected: a record without sealed columns
          do:       open this log with a Headwater that holds the keys of its subjects
        """,
    ):
        SMALL.parse(ONE[:12] + b"\x04" + ONE[13:])


@pytest.mark.parametrize(
    ("broken", "got"),
    [
        (
            b"",
            (
                "unpack_from requires a buffer of at least 12 bytes for unpacking 12 bytes at offset 0"
                " (actual buffer size is 0)"
            ),
        ),
        (b"X" + ONE[1:], "it does not begin with 'HWR'"),
        (ONE[:4] + b"\x09" + ONE[5:], "it has 9 columns where the schema has 1"),
        (ONE[:12] + b"\x02" + ONE[13:], "column 'a' has another kind"),
        (ONE[:13] + b"\x04" + ONE[14:], "column 'a' has values of 4 bytes"),
        (ONE[:-1], "buffer is smaller than requested size"),
    ],
)
def test_a_broken_record_is_an_error(broken: bytes, got: str) -> None:
    with says(
        LogError,
        f"""
        a record of the log cannot be read
          expected: a record of the format that design note 0004 describes
          got:      {got}
          do:       run `headwater log verify`, then restore the log from a copy
        """,
    ):
        SMALL.parse(broken)
