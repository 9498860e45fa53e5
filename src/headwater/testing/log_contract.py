"""The promises of an event log as checks that any implementation can be run against.

Each check takes a function that makes an empty log for given streams, uses the log through
``headwater.log.protocol.EventLog`` alone, and raises ``AssertionError`` with words if a promise is broken.
The embedded log runs them in this project's tests; run them against your own::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_log(check, tmp_path):
        check(lambda streams: MyLog(tmp_path, streams))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import ConflictError, DataError, LogError
from headwater.core.instant import DAY, HOUR
from headwater.definitions.stream import Stream
from headwater.log.protocol import Append, DeadLetter, EventLog, Receipt
from headwater.testing.events import START, at, events

Make = Callable[[Sequence[Stream]], EventLog]

WHEN = pl.Datetime("us", "UTC")
PAYMENTS = Stream(
    "payments",
    {
        "id": pl.Int64,
        "account": pl.Int64,
        "time": WHEN,
        "side": pl.Enum(["credit", "debit"]),
        "purpose": pl.String,
        "amount": pl.Float64,
    },
    id="id",
)
PROFILES = Stream("profiles", {"id": pl.String, "time": WHEN, "income": pl.Float64}, id="id")
CLICKS = Stream("clicks", {"page": pl.String, "time": WHEN})  # no id: the same click twice is two clicks

NOW = int(START.timestamp()) * 1_000_000


def payments(ids: Sequence[int], **columns: Any) -> pl.DataFrame:
    """Payments one hour apart, the id being the hour; other columns as given."""
    rows: list[dict[str, Any]] = [
        {"id": i, "time": at(i * HOUR) if i else at(), "amount": float(i), **columns} for i in ids
    ]
    return events(PAYMENTS, *rows)


def offsets_count_from_zero_over_all_streams(make: Make) -> None:
    """Offsets have no gaps, whatever stream an event is of."""
    log = make([PAYMENTS, CLICKS])
    _expect(log.end() == 0, "an empty log ends at 0")
    first = log.append("payments", payments([0, 1]), arrival=NOW)
    second = log.append("clicks", _clicks(3), arrival=NOW)
    third = log.append("payments", payments([2]), arrival=NOW)
    got = [receipt.offset.tolist() for receipt in (first, second, third)]
    _expect(got == [[0, 1], [2, 3, 4], [5]], f"offsets follow each other over streams, not {got}")
    _expect(log.end() == 6, "end() is the next offset")
    _expect((second.first, second.last) == (2, 4), "a receipt names its first and last offset")


def what_was_appended_is_read(make: Make) -> None:
    """Values, nulls, types, arrival and time come back as they went in."""
    log = make([PAYMENTS])
    frame = events(
        PAYMENTS,
        {"id": 1, "account": 7, "time": at("1h"), "side": "debit", "purpose": "größer", "amount": -0.0},
        {"id": 2, "time": at()},
        {"id": -(2**62), "account": 2**53 + 1, "time": at("3d"), "purpose": "", "amount": 5e-324},
    )
    log.append("payments", frame, arrival=NOW + 5)
    batch = _whole(log)[0]
    _expect(batch.frame.schema == frame.schema, f"the types are the stream's, not {batch.frame.schema}")
    _expect(batch.frame.rows() == frame.rows(), "values and nulls come back")
    sign = np.signbit(batch.frame["amount"].to_numpy()[0])
    _expect(bool(sign), "the bits of a float come back: -0.0 stays -0.0")
    _expect(batch.arrival.tolist() == [NOW + 5] * 3, "arrival is what the append said")
    _expect((batch.time - NOW).tolist() == [HOUR, 0, 3 * DAY], "time is that of the time column")


def a_duplicate_changes_nothing(make: Make) -> None:
    """The same id with the same content is answered as accepted."""
    log = make([PAYMENTS])
    log.append("payments", payments([0, 1, 2]), arrival=NOW)
    again = log.append("payments", payments([1, 3]), arrival=NOW + 1)
    _expect((again.accepted, again.duplicates, again.refused) == (1, 1, 0), f"one is new: {again}")
    _expect(again.offset.tolist() == [-1, 3], "only the new event gets an offset")
    _expect(again.known.tolist() == [1, -1], "the receipt says where the duplicate is held")
    whole = _whole(log)[0]
    _expect(whole.arrival.tolist() == [NOW] * 3 + [NOW + 1], "the first arrival stands")


def another_event_under_a_taken_id_is_refused(make: Make) -> None:
    """The same id with other content is refused, and the rest of the append is taken."""
    log = make([PAYMENTS])
    log.append("payments", payments([0, 1]), arrival=NOW)
    receipt = log.append("payments", payments([1, 2], purpose="rent"), arrival=NOW)
    _expect((receipt.accepted, receipt.refused) == (1, 1), f"one taken, one refused: {receipt}")
    _expect([refusal.row for refusal in receipt.refusals] == [0], "the refused row is named")
    _expect("purpose" in receipt.refusals[0].message, "the refusal says which column differs")
    _expect(_whole(log)[0].frame["purpose"].to_list() == [None, None, "rent"], "the held event stays")
    try:
        receipt.raise_if_refused()
    except ConflictError:
        return
    _expect(False, "raise_if_refused() raises a ConflictError")


def ids_are_unique_within_one_append(make: Make) -> None:
    """Twins inside a frame are judged like twins in the log."""
    log = make([PAYMENTS])
    frame = pl.concat([payments([5, 6, 5]), payments([6], purpose="rent")])
    receipt = log.append("payments", frame, arrival=NOW)
    _expect(receipt.outcome.tolist() == [0, 0, 1, 2], f"new, new, duplicate, refused: {receipt.outcome}")
    _expect(receipt.known.tolist() == [-1, -1, 0, -1], "the twin's place is that of the first")
    _expect(log.end() == 2, "two events are held")


def ids_are_unique_across_batches_of_one_call(make: Make) -> None:
    """Two batches of the same stream in one call see each other."""
    log = make([PAYMENTS])
    receipts = log.append_many(
        [Append("payments", payments([1, 2]), NOW), Append("payments", payments([2, 3]), NOW)]
    )
    _expect([receipt.accepted for receipt in receipts] == [2, 1], "the second batch holds a duplicate")
    _expect(receipts[1].known.tolist() == [1, -1], "it is known from the first batch")


def text_ids_are_compared_not_hashed(make: Make) -> None:
    """Texts as ids: equal texts are equal, others are not."""
    log = make([PROFILES])
    names = ["", "a", "A", "a ", "ä", "x" * 300]
    rows = [{"id": name, "time": at(), "income": 1.0} for name in names]
    receipt = log.append("profiles", events(PROFILES, *rows), arrival=NOW)
    again = log.append("profiles", events(PROFILES, *rows), arrival=NOW)
    _expect((receipt.accepted, again.duplicates) == (6, 6), "six ids, then six duplicates")


def without_an_id_every_event_is_new(make: Make) -> None:
    """A stream without an id takes the same event twice."""
    log = make([CLICKS])
    for _ in range(2):
        log.append("clicks", _clicks(2), arrival=NOW)
    _expect(log.end() == 4, "all four are held")


def an_append_that_fails_leaves_nothing(make: Make) -> None:
    """All or nothing, over all batches of a call."""
    log = make([PAYMENTS, CLICKS])
    log.append("payments", payments([0]), arrival=NOW)
    good = Append("payments", payments([1]), NOW)
    wrong: list[tuple[Append, type[Exception]]] = [
        (Append("clicks", _clicks(1).drop("page"), NOW), DataError),
        (Append("clicks", _clicks(1).cast({"time": pl.Int64}), NOW), DataError),
        (Append("clicks", _clicks(1), NOW - 1), DataError),
        (Append("clicks", _clicks(2), np.array([NOW + 1, NOW])), DataError),
        (Append("clicks", _clicks(2), np.array([NOW])), DataError),
        (Append("payments", payments([2]).with_columns(id=pl.lit(None, pl.Int64)), NOW), DataError),
        (Append("nowhere", _clicks(1), NOW), LogError),
    ]
    for bad, kind in wrong:
        try:
            log.append_many([good, bad])
        except kind:
            pass
        else:
            _expect(False, f"{bad} is refused with {kind.__name__}")
    _expect(log.end() == 1, "nothing of a failed call is held")
    _expect(log.append("payments", payments([1]), arrival=NOW).accepted == 1, "the good half can come again")


def dead_letters_are_asked_for_in_the_same_breath(make: Make) -> None:
    """``letters`` sees the receipts before they count; if it fails, nothing is appended."""
    log = make([PAYMENTS])
    seen: list[Receipt] = []

    def letters(receipts: Sequence[Receipt]) -> Sequence[DeadLetter]:
        seen.extend(receipts)
        return [DeadLetter("payments", NOW, "test", "a test", "{}")]

    log.append_many([Append("payments", payments([1]), NOW)], letters=letters)
    _expect([receipt.offset.tolist() for receipt in seen] == [[0]], "letters sees what the caller gets")

    def failing(_: Sequence[Receipt]) -> Sequence[DeadLetter]:
        raise DataError.of("no letters today")

    try:
        log.append_many([Append("payments", payments([2]), NOW)], letters=failing)
    except DataError:
        _expect(log.end() == 1, "nothing is appended when letters fails")
        return
    _expect(False, "the error of letters is not swallowed")


def ranges_are_half_open(make: Make) -> None:
    """Start <= offset < stop; since <= event time < until."""
    log = make([PAYMENTS])
    for first in (0, 4, 8):
        log.append("payments", payments(range(first, first + 4)), arrival=NOW)

    def ids(**limits: int) -> list[int]:
        return [i for batch in log.scan(**limits) for i in batch.frame["id"].to_list()]  # type: ignore[arg-type]

    _expect(ids(start=3, stop=9) == [3, 4, 5, 6, 7, 8], "offsets 3 to 8")
    _expect(ids(start=12) == [] and ids(stop=0) == [] and ids(start=5, stop=5) == [], "nothing")
    _expect(ids(since=NOW + 2 * HOUR, until=NOW + 5 * HOUR) == [2, 3, 4], "times 2 h to before 5 h")
    _expect(ids(start=4, until=NOW + 5 * HOUR) == [4], "both at once")
    _expect(ids(stop=10**9) == list(range(12)), "a stop behind the end is the end")


def a_scan_reads_in_the_order_of_the_log(make: Make) -> None:
    """Offsets ascend over batches that do not overlap, however streams alternate."""
    log = make([PAYMENTS, CLICKS])
    for i in range(6):
        log.append("payments", payments([i]), arrival=NOW + i)
        log.append("clicks", _clicks(i % 3), arrival=NOW + i)
    offsets = [offset for batch in log.scan() for offset in batch.offset.tolist()]
    _expect(offsets == list(range(log.end())), f"every offset once, ascending: {offsets}")
    arrivals = [arrival for batch in log.scan() for arrival in batch.arrival.tolist()]
    _expect(arrivals == sorted(arrivals), "arrival never descends")


def by_stream_reads_one_stream_after_the_other(make: Make) -> None:
    """Long batches, in the order of the streams named."""
    log = make([PAYMENTS, CLICKS])
    for i in range(4):
        log.append("clicks", _clicks(1), arrival=NOW)
        log.append("payments", payments([i]), arrival=NOW)
    batches = list(log.scan(["payments", "clicks"], by_stream=True))
    got = [(batch.stream, batch.offset.tolist()) for batch in batches]
    _expect(
        got == [("payments", [1, 3, 5, 7]), ("clicks", [0, 2, 4, 6])],
        f"each stream whole, with its own offsets: {got}",
    )
    only = {batch.stream for batch in log.scan(["clicks"])}
    _expect(only == {"clicks"}, "a scan of one stream holds no other")


def merged_appends_interleave_by_arrival(make: Make) -> None:
    """merge=True gives out offsets by arrival; equal arrivals in the order of the batches."""
    log = make([PAYMENTS, CLICKS])
    receipts = log.append_many(
        [
            Append("payments", payments([0, 2, 3]), np.array([NOW, NOW + 2, NOW + 3])),
            Append("clicks", _clicks(3), np.array([NOW, NOW + 1, NOW + 3])),
        ],
        merge=True,
    )
    got = [receipt.offset.tolist() for receipt in receipts]
    _expect(got == [[0, 3, 4], [1, 2, 5]], f"ascending by arrival over both: {got}")
    arrivals = [arrival - NOW for batch in log.scan() for arrival in batch.arrival.tolist()]
    _expect(arrivals == [0, 0, 1, 2, 3, 3], "and read so")
    _expect(log.arrival() == NOW + 3, "arrival() is the last")


def an_empty_append_is_nothing(make: Make) -> None:
    """No rows, no event, no error."""
    log = make([PAYMENTS])
    receipt = log.append("payments", payments([]), arrival=NOW)
    _expect((receipt.accepted, receipt.first, len(receipt.offset)) == (0, None, 0), f"nothing: {receipt}")
    _expect(log.append_many([]) == [] and log.end() == 0, "no batches, no receipts")


CHECKS: tuple[Callable[[Make], None], ...] = (
    offsets_count_from_zero_over_all_streams,
    what_was_appended_is_read,
    a_duplicate_changes_nothing,
    another_event_under_a_taken_id_is_refused,
    ids_are_unique_within_one_append,
    ids_are_unique_across_batches_of_one_call,
    text_ids_are_compared_not_hashed,
    without_an_id_every_event_is_new,
    an_append_that_fails_leaves_nothing,
    dead_letters_are_asked_for_in_the_same_breath,
    ranges_are_half_open,
    a_scan_reads_in_the_order_of_the_log,
    by_stream_reads_one_stream_after_the_other,
    merged_appends_interleave_by_arrival,
    an_empty_append_is_nothing,
)


def _clicks(count: int) -> pl.DataFrame:
    rows = [{"page": f"page {i}", "time": at()} for i in range(count)]
    return events(CLICKS, *rows)


def _whole(log: EventLog) -> list[Batch]:
    return list(log.scan(by_stream=True))


def _expect(holds: bool, promise: str) -> None:
    if not holds:
        raise AssertionError(f"broken promise: {promise}")
