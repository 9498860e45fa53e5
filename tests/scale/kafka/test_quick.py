"""Many JSON values at once: where the quick way says yes, it says what the slow way says, to the bit."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from headwater.scale.kafka.payloads.quick import QuickJson
from headwater.serving.rows import RowReader
from tests.scale.kafka.cases import bits

STREAM = hw.Stream(
    "odd",
    {
        "i": pl.Int64,
        "f": pl.Float64,
        "t": pl.String,
        "b": pl.Boolean,
        "d": pl.Date,
        "at": pl.Datetime("us", "UTC"),
        "e": pl.Enum(["x", "y"]),
        "j": pl.Int8,
    },
    time="at",
    id="i",
)
QUICK = QuickJson.of(STREAM)
SLOW = RowReader(STREAM)

PLAIN = [
    b'{"i":1,"f":1.5,"t":"a","b":true,"at":"2026-01-01T10:00:00Z","e":"x","j":3}',
    b'{"d":"2026-01-01"}',
    b'{"f":-0.0}',
    b'{"f":5}',
    b'{"f":1e-400}',
    b'{"f":0.1e1}',
    b'{"t":"a\\u0000b"}',
    '{"t":"é"}'.encode(),
    b'{"at":"2026-01-01T00:00:00+02:00"}',
    b'{"at":"2026-01-01 00:00:00.1Z"}',
    b'{"e":null,"t":null}',
    b"{}",
    b'{"i":1} ',
]
ODD = [
    b'{"f":-0}',
    b'{"f":1e400}',
    b'{"f":NaN}',
    b'{"f":9007199254740993}',
    b'{"i":5.0}',
    b'{"i":true}',
    b'{"i":-9223372036854775808}',
    b'{"i":9223372036854775808}',
    b'{"t":"\\ud800"}',
    b'{"t":"a\x01b"}',
    b'{"t":"\xff"}',
    b'{"t":1}',
    b'{"i":1,"i":2}',
    b'{"b":1}',
    b'{"d":20000}',
    b'{"d":"20260101"}',
    b'{"d":"0001-01-01"}',
    b'{"at":"2026-01-01T24:00:00Z"}',
    b'{"at":"2026-01-01"}',
    b'{"at":"2026-01-01T00:00:00.123456789Z"}',
    b'{"at":1}',
    b'{"at":"9999-01-01T00:00:00Z"}',
    b'{"e":"z"}',
    b'{"x":1}',
    b'{"j":300}',
    b'{"t":{"a":1}}',
    b'{"i":1}{"i":2}',
    b'{"i":1}\n{"i":2}',
    b' {"i":1}',
    b'\xef\xbb\xbf{"i":1}',
    b"[1]",
    b"",
]


def slowly(values: list[bytes]) -> list[Any] | None:
    """What the slow way says, or None if it refuses one."""
    try:
        rows = SLOW.read([msgspec.json.decode(value) for value in values])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if rows.refused else bits(SLOW.frame(rows.columns))


def quickly(values: list[bytes]) -> list[Any] | None:
    assert QUICK is not None
    found = QUICK.read(values)
    if found is None:
        return None
    assert found.schema == STREAM.schema
    return bits(found)


@pytest.mark.parametrize("value", PLAIN)
def test_what_is_plain_goes_the_quick_way(value: bytes) -> None:
    assert quickly([value]) == slowly([value]) is not None


@pytest.mark.parametrize("value", ODD)
def test_what_is_odd_is_left_to_the_slow_way(value: bytes) -> None:
    assert quickly([PLAIN[0], value]) is None


def test_a_record_of_two_events_beside_an_empty_one_is_odd() -> None:
    assert quickly([b'{"i":1}\n{"i":2}', b""]) is None


VALUES = {
    "i": st.integers(-(2**63), 2**63),
    "f": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**60), 2**60)),
    "t": st.text(max_size=5),
    "b": st.booleans(),
    "d": st.one_of(st.dates().map(str), st.text(max_size=10)),
    "at": st.one_of(
        st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()), st.dates().map(str)
    ),
    "e": st.sampled_from(["x", "y", "z"]),
    "j": st.integers(-200, 200),
}


@given(st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=4))
def test_the_quick_way_never_says_anything_else(events: list[dict[str, Any]]) -> None:
    values = [msgspec.json.encode(event) for event in events]
    found = quickly(values)
    assert found is None or found == slowly(values)


def test_a_stream_of_another_type_has_no_quick_way() -> None:
    stream = hw.Stream("short", {"at": pl.Datetime("us", "UTC"), "f": pl.Float32}, time="at")
    assert QuickJson.of(stream) is None
