"""Splits in time, drawn: what is learned from, what lies in the gap, what is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import TrainingError
from headwater.core.instant import DAY, instant
from headwater.training.split import folds, temporal, without_known
from tests.letters import says
from tests.training.lender import day


def test_the_gap_keeps_labels_of_the_training_rows_out_of_the_test() -> None:
    # time   0   1   2   3   4   5   6   7   8   9
    #        train-----------]   gap     [test------     a row at 4 has its label at 7, when the test begins
    split = temporal(np.arange(10), gap=3, test_from=7)
    assert split.train.tolist() == [0, 1, 2, 3, 4]
    assert split.test.tolist() == [7, 8, 9]
    assert split.skipped == 2


def test_a_label_that_is_known_at_once_needs_no_gap() -> None:
    split = temporal(np.arange(5), gap=0, test_from=3)
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1, 2], [3, 4])


def test_a_window_is_open_at_its_old_end_as_features_are() -> None:
    # time   0   1   2   3   4   5   6   7   8   9
    #                (-------]   gap     [test---)        a window of 2 before 4, a test until 9
    split = temporal(np.arange(10), gap=3, test_from=7, window=2, test_until=9)
    assert (split.train.tolist(), split.test.tolist()) == ([3, 4], [7, 8])


def test_a_share_of_the_rows_by_default() -> None:
    split = temporal(np.arange(100), gap=10)
    assert split.test.tolist() == list(range(75, 100))
    assert split.train.tolist() == list(range(66))


@given(
    times=st.lists(st.integers(0, 50), min_size=2, max_size=60),
    gap=st.integers(0, 20),
    test_from=st.integers(0, 50),
)
def test_no_row_is_in_both_and_no_label_reaches_into_the_test(
    times: list[int], gap: int, test_from: int
) -> None:
    moments = np.array(times)
    try:
        split = temporal(moments, gap, test_from=test_from)
    except TrainingError:
        return
    assert not set(split.train) & set(split.test)
    assert (moments[split.train] + gap).max() <= moments[split.test].min()
    assert len(split.train) + len(split.test) + split.skipped == len(times)


def test_folds_follow_each_other_to_the_newest_row() -> None:
    # time   0   1   2   3   4   5   6   7   8   9
    #                        [test---)                    train 2, 3 with a window of 2 and a gap of 1
    #                                [test---)            train 4, 5
    #                                        [test--      train 6, 7
    found = folds(np.arange(10), gap=1, count=3, test_span=2, window=2)
    assert [(s.train.tolist(), s.test.tolist()) for s in found] == [
        ([2, 3], [4, 5]),
        ([4, 5], [6, 7]),
        ([6, 7], [8, 9]),
    ]


class TestKnown:
    """Test rows of who is known to be positive already, at the start of the day, are not judged."""

    def test_drawn(self) -> None:
        #  day   0     1     2     3     4     5       gap of one day, test from day 3
        #  ada   bad         good  |     good          known from 1 on: leaves the test
        #  bob         good        | bad   good  good  bad at 3.5, known at 4.5: judged at 4.2, not at 5.2
        #  cid   good              | good        good  never bad: judged
        drawn = [
            (0.0, "ada", 1),
            (0.5, "cid", 0),
            (1.0, "bob", 0),
            (2.0, "ada", 0),
            (3.2, "cid", 0),
            (3.5, "bob", 1),
            (4.2, "ada", 0),
            (4.2, "bob", 0),
            (5.2, "bob", 0),
            (5.2, "cid", 0),
        ]
        times = np.array([day(d) for d, _, _ in drawn])
        who = [w for _, w, _ in drawn]
        y = [label for _, _, label in drawn]
        split = temporal(times, gap=DAY, test_from=day(3))
        found = without_known(split, who, y, times)
        judged = [drawn[i][:2] for i in found.test]
        assert judged == [(3.2, "cid"), (3.5, "bob"), (4.2, "bob"), (5.2, "cid")]
        assert found.train.tolist() == split.train.tolist()

    def test_nobody_left(self) -> None:
        times = np.array([day(0), day(0.5), day(5)])
        split = temporal(times, gap=DAY, test_from=day(5))
        with pytest.raises(TrainingError, match="the rows cannot be split in time"):
            without_known(split, ["ada", "bob", "ada"], [1, 0, 0], times)

    def test_it_is_the_handbooks_split(self, data_folder: Path) -> None:
        path = data_folder / "fraud_handbook" / "transactions.parquet"
        start, test, end = (instant(f"2018-{d}T00:00:00Z") for d in ("07-25", "08-08", "08-15"))
        rows = pl.read_parquet(path).with_columns(time=pl.col("event_at").dt.epoch("us"))
        rows = rows.filter(pl.col("time").is_between(start, end, closed="left"))
        times, y = rows["time"].to_numpy(), rows["is_fraud"].to_numpy()
        split = temporal(times, 7 * DAY, test_from=test)
        assert (len(split.train), y[split.train].sum()) == (67_240, 598)
        split = without_known(split, rows["customer_id"].to_numpy(), y, times)
        assert (len(split.test), y[split.test].sum()) == (58_264, 385)


class TestRefusals:
    def test_nothing_to_learn_from(self) -> None:
        with says(
            TrainingError,
            """
            the rows cannot be split in time
              expected: rows up to 2025-12-26T00:00:00Z, 7d before the test, and from 2026-01-02T00:00:00Z on
              got:      0 to fit on and 9 to test, observed 2026-01-01T00:00:00Z to 2026-01-10T00:00:00Z
              do:       import more history, or begin the test at another time
            """,
        ):
            temporal(np.array([day(d) for d in range(10)]), gap=7 * DAY, test_from=day(1))

    def test_a_share_out_of_range(self) -> None:
        with says(
            TrainingError,
            """
            the share of test rows is out of range
              expected: a number between 0 and 1, such as 0.25
              got:      1.5
              do:       name another share, or the time from which to test
            """,
        ):
            temporal(np.arange(4), gap=1, test_share=1.5)

    def test_no_rows(self) -> None:
        with pytest.raises(TrainingError, match="observed no rows"):
            temporal(np.empty(0, np.int64), gap=1)

    def test_no_folds(self) -> None:
        with says(
            TrainingError,
            """
            no folds are asked for
              expected: 1 or more
              got:      0
              do:       ask for some
            """,
        ):
            folds(np.arange(4), gap=1, count=0, test_span=1)
