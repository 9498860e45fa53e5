"""Which rows to learn from and which to be judged on: always the past and what came after it.

Between the two lies a gap as long as a label takes to be known, because a model fitted at the instant at
which the test begins could only have used labels that were known by then.

        test_from - gap - window      test_from - gap      test_from          test_until
        (-----------------------------]--------------------[------------------)
          train                         gap: in neither      test

Called by ``training.train``; ``folds`` by whoever wants more than one test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headwater.core.errors import TrainingError
from headwater.core.instant import DAY, iso, span_text

Int64 = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows by their place in the training set, each part ascending.

    Attributes:
        train: places of the rows to fit on.
        test: places of the rows to judge on.
        test_from: where the test begins, microseconds.
        gap: microseconds.
        skipped: rows in neither: in the gap, or outside the bounds.
    """

    train: Places
    test: Places
    test_from: int
    gap: int
    skipped: int


def temporal(
    times: Int64,
    gap: int,
    *,
    test_from: int | None = None,
    test_share: float = 0.25,
    test_until: int | None = None,
    window: int | None = None,
) -> Split:
    """Split once in time.

    Args:
        times: int64 microseconds, shape (n,): when each row was observed.
        gap: how long after an observation its label is known, microseconds.
        test_from: rows from here on are the test. By default the instant from which on ``test_share`` of
            the rows lie.
        test_share: used if ``test_from`` is not given.
        test_until: leave out rows from here on.
        window: how far back to learn from, microseconds; None for all the way.

    Raises:
        TrainingError: one of the two parts would be empty, or the share is not between 0 and 1.

    Example:
        >>> split = temporal(np.arange(10), gap=2, test_from=8)
        >>> split.train.tolist(), split.test.tolist()
        ([0, 1, 2, 3, 4, 5, 6], [8, 9])
    """
    if test_from is None:
        test_from = _share(times, test_share)
    learned = times <= test_from - gap
    if window is not None:
        learned &= times > test_from - gap - window
    judged = times >= test_from
    if test_until is not None:
        judged &= times < test_until
    if gap == 0:  # a label known at once: the row that opens the test is not learned from
        learned &= ~judged
    train, test = np.flatnonzero(learned), np.flatnonzero(judged)
    if not len(train) or not len(test):
        raise _empty(times, gap, test_from, len(train), len(test))
    return Split(train, test, test_from, gap, len(times) - len(train) - len(test))


def folds(
    times: Int64, gap: int, *, count: int = 5, test_span: int, window: int | None = None
) -> list[Split]:
    """Tests one after the other, the last of which ends with the newest row.

    Args:
        times: int64 microseconds, shape (n,).
        gap: as in :func:`temporal`.
        count: how many.
        test_span: how long each test lasts, microseconds.
        window: how far back each fit looks, microseconds; None for all the way.

    Raises:
        TrainingError: the rows do not reach back far enough.

    Example:
        >>> [(s.train.tolist(), s.test.tolist())
        ...  for s in folds(np.arange(6), gap=1, count=2, test_span=2)]
        [([0, 1], [2, 3]), ([0, 1, 2, 3], [4, 5])]
    """
    if count < 1:
        raise TrainingError.of(
            "no folds are asked for", expected="1 or more", got=str(count), do="ask for some"
        )
    end = int(times.max()) + 1 if len(times) else 0
    starts = [end - test_span * back for back in range(count, 0, -1)]
    return [
        temporal(
            times,
            gap,
            test_from=start,
            test_until=start + test_span,
            window=window,
        )
        for start in starts
    ]


def without_known(split: Split, entities: npt.ArrayLike, y: npt.ArrayLike, times: Int64) -> Split:
    """Leave out test rows of entities already known to be positive at the start of the row's day.

    A card known to be defrauded is blocked, so that no later payment of it is to be judged. An entity is
    known as soon as the label of one of its positive rows is, from the training rows on; rows before those
    do not count. This is the protocol of the Fraud Detection Handbook (chapter 5.3), in which an
    investigator learns once a day what came to light.

    Args:
        split: as from :func:`temporal`.
        entities: shape (n,), any type that sorts.
        y: shape (n,), 0 and 1.
        times: int64 microseconds, shape (n,).
    """
    number = np.unique(np.asarray(entities), return_inverse=True)[1]
    positive = (np.asarray(y) > 0) & (times >= times[split.train].min())
    never = np.iinfo(np.int64).max
    since = np.full(number.max(initial=0) + 1, never)
    np.minimum.at(since, number[positive], times[positive] + split.gap)
    day = times[split.test] // DAY * DAY
    test = split.test[since[number[split.test]] >= day]
    if not len(test):
        raise _empty(times, split.gap, split.test_from, len(split.train), 0)
    return Split(split.train, test, split.test_from, split.gap, len(times) - len(split.train) - len(test))


def _share(times: Int64, share: float) -> int:
    if not 0 < share < 1:
        raise TrainingError.of(
            "the share of test rows is out of range",
            expected="a number between 0 and 1, such as 0.25",
            got=str(share),
            do="name another share, or the time from which to test",
        )
    if not len(times):
        raise _empty(times, 0, 0, 0, 0)
    return int(np.sort(times)[int(len(times) * (1 - share))])


def _empty(times: Int64, gap: int, test_from: int, train: int, test: int) -> TrainingError:
    bounds = f"{iso(int(times.min()))} to {iso(int(times.max()))}" if len(times) else "no rows"
    wait = span_text(gap) if gap else "0d"
    return TrainingError.of(
        "the rows cannot be split in time",
        expected=f"rows up to {iso(test_from - gap)}, {wait} before the test, and from {iso(test_from)} on",
        got=f"{train:,} to fit on and {test:,} to test, observed {bounds}",
        do="import more history, or begin the test at another time",
    )
