"""A few records as plain values, the same as a frame: the same state, letters and scores, to the bit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import headwater as hw
from headwater.scale.kafka.digests import digests, digests_few, has_words, keys_of, keys_of_few
from headwater.scale.kafka.partition import FEW, Partition
from headwater.scale.kafka.payloads.reading import Record
from headwater.scale.kafka.snapshots import dump
from tests.serving import bank

SCHEMA = {
    "i": pl.Int64(),
    "j": pl.Int8(),
    "u": pl.UInt64(),
    "f": pl.Float64(),
    "b": pl.Boolean(),
    "t": pl.String(),
    "e": pl.Enum(["x", "y"]),
    "d": pl.Date(),
    "at": pl.Datetime("us", "UTC"),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i": st.integers(-(2**63) + 1, 2**63 - 1),
    "j": st.integers(-128, 127),
    "u": st.integers(0, 2**63 - 1),
    "f": st.floats(allow_nan=False, allow_infinity=False),
    "b": st.booleans(),
    "t": st.text(max_size=5),
    "e": st.sampled_from(["x", "y"]),
    "d": st.integers(-700_000, 2_000_000),
    "at": st.integers(-(2**55), 2**55),
}
ROW = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})


@given(st.lists(ROW, min_size=1, max_size=5))
def test_plain_values_have_the_hashes_of_their_columns(rows: list[dict[str, Any]]) -> None:
    assert all(map(has_words, SCHEMA.values()))
    values = {name: [row[name] for row in rows] for name in SCHEMA}
    physical = {"d": pl.Int32, "at": pl.Int64}
    frame = pl.DataFrame(
        [
            pl.Series(name, column, physical.get(name, SCHEMA[name])).cast(SCHEMA[name])
            for name, column in values.items()
        ]
    )
    assert digests_few(values, SCHEMA).tolist() == digests(frame).tolist()
    for name, dtype in SCHEMA.items():
        assert keys_of_few(values[name], dtype).tolist() == keys_of(frame[name]).tolist()


def test_types_whose_values_are_not_their_words() -> None:
    assert not any(map(has_words, (pl.Float32(), pl.Datetime("ms", "UTC"), pl.Datetime("ns", "UTC"))))


EVENT = st.tuples(
    st.integers(0, 12),  # id: some come twice, and some with other content
    st.integers(0, 3),  # account
    st.integers(0, 40),  # days back from its arrival: some are late, some too late
    st.sampled_from([1.0, 2.5, None, "much"]),  # the last is refused
)


@given(st.lists(EVENT, min_size=1, max_size=30), st.integers(1, 30))
def test_few_records_do_what_a_frame_of_them_does(events: Sequence[tuple[Any, ...]], size: int) -> None:
    model = bank.model(features=[bank.SPENDING], derived={})
    project = hw.Project("few", models=[model], lateness="30d")
    scoring = bank.scoring(model)
    records = [_record(offset, *event) for offset, event in enumerate(events)]
    told = []
    for most in (0, FEW):
        partition = Partition(project, {"risk": scoring})
        if most == 0:
            partition._plain = set()  # everything as a frame
        effects = [
            partition.take("payments", records[start : start + size])
            for start in range(0, len(records), size)
        ]
        scores = [
            (entity, offset, score.hex())
            for effect in effects
            for one in effect.rescored
            for entity, offset, score in zip(
                one.entities.column("who"), one.numbers[1], one.numbers[2], strict=True
            )
        ]
        counts = [(effect.events, effect.duplicates, effect.letters) for effect in effects]
        told.append((scores, counts, dump(partition)))
    assert told[0] == told[1]


def _record(offset: int, id_: int, who: int, days: int, amount: Any) -> Record:
    arrival = bank.micros(100 + offset)
    time = pl.Series([arrival - days * 86_400_000_000]).cast(pl.Datetime("us", "UTC"))[0].isoformat()
    value = json.dumps({"id": id_, "who": who, "time": time, "amount": amount}).encode()
    return Record(offset, arrival, value)
