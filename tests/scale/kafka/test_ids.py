"""Ids and digests: what is new, sent again, or another event under a known id, however it is cut."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from headwater.scale.kafka import ids as module
from headwater.scale.kafka.digests import digests, keys_of
from headwater.scale.kafka.ids import Ids

PINNED = [-1693551724386449075, 4215348472564904916, -3146427257069055733]
EVENTS = st.lists(st.tuples(st.integers(-5, 30), st.integers(0, 2)), max_size=60)


@given(st.lists(EVENTS, max_size=8), st.sampled_from([2, 8, 64]))
def test_batches_are_judged_as_one_event_after_the_other(
    batches: list[list[tuple[int, int]]], recent: int
) -> None:
    before, module.RECENT = module.RECENT, recent  # so that few make runs
    try:
        ids, known = Ids(), dict[int, int]()
        for events in batches:
            pairs = np.array(events, dtype=np.int64).reshape(-1, 2)
            seen = ids.take(pairs[:, 0].copy(), pairs[:, 1].copy())
            for (key, digest), new, conflict in zip(events, seen.new, seen.conflict, strict=True):
                assert new == (key not in known)
                assert conflict == (known.setdefault(key, digest) != digest)
        keys, values = ids.arrays()
        assert dict(zip(keys.tolist(), values.tolist(), strict=True)) == known
        assert len(Ids.of(keys, values)) == len(known)
    finally:
        module.RECENT = before


def test_a_digest_is_of_the_values_and_of_nothing_else() -> None:
    """Pinned: snapshots hold them, so another way to make them needs another number of theirs."""
    frame = pl.DataFrame(
        {
            "id": [1, 2, None],
            "way": ["card", None, "cash"],
            "amount": [1.5, -0.0, 0.0],
            "b": [True, False, None],
        },
        schema={"id": pl.Int64, "way": pl.Enum(["card", "cash"]), "amount": pl.Float64, "b": pl.Boolean},
    )
    whole = digests(frame)
    assert whole.tolist() == PINNED
    assert [int(digests(frame[row : row + 1])[0]) for row in range(3)] == whole.tolist()
    assert digests(frame.with_columns(pl.col("way").cast(pl.String))).tolist() == whole.tolist()
    assert len(set(digests(pl.DataFrame({"a": [0.0, -0.0, None]})).tolist())) == 3


def test_keys_are_the_integers_themselves() -> None:
    assert keys_of(pl.Series([5, -7])).tolist() == [5, -7]
    assert keys_of(pl.Series([2**63 - 1], dtype=pl.UInt64)).tolist() == [2**63 - 1]
    assert keys_of(pl.Series(["a", "b", "a"])).tolist()[0] == keys_of(pl.Series(["a"])).tolist()[0]
