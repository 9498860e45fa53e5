"""What Spark says of its batches, read; and what its workers say of theirs, put together."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.apps.cli.metering import Meter
from headwater.core.clock import SystemClock
from headwater.core.errors import HeadwaterError
from headwater.scale.kafka.turns import Tally, Turn
from headwater.scale.spark.progress import Look, look_of
from headwater.scale.spark.sink import counts_of
from headwater.scale.spark.stream import turn_of

# As Spark 4.3 said it of a batch of two partitions, of which it left one record.
SAID: dict[str, Any] = {
    "timestamp": "2026-11-29T23:00:01.250Z",
    "batchId": 1,
    "numInputRows": 299,
    "durationMs": {"addBatch": 480, "getBatch": 1, "triggerExecution": 612, "walCommit": 20},
    "eventTime": {},
    "stateOperators": [{"numRowsTotal": 7, "memoryUsedBytes": 91_200}],
    "sources": [
        {
            "startOffset": "null",
            "endOffset": '{"bank.payments":{"0":120,"1":179}}',
            "latestOffset": '{"bank.payments":{"0":121,"1":179}}',
        }
    ],
}


def test_a_batch_is_read() -> None:
    lag = {(0, "bank.payments"): 1, (1, "bank.payments"): 0}
    assert look_of(SAID) == Look("2026-11-29T23:00:01.250Z", 0.612, lag, 7, 91_200)


def test_a_look_that_found_nothing_ran_nothing_and_may_know_no_offsets() -> None:
    nothing = SAID | {
        "durationMs": {"latestOffset": 3, "triggerExecution": 4},
        "sources": [{"startOffset": "null", "endOffset": "null", "latestOffset": "null"}],
    }
    assert look_of(nothing) == Look("2026-11-29T23:00:01.250Z", None, {}, 7, 91_200)


def test_what_workers_did_is_put_together_by_stream() -> None:
    def end(stream: str, **counts: int) -> dict[str, Any]:
        every = dict.fromkeys(("records", "events", "duplicates", "refused", "scores"), 0)
        text = ", ".join(f'"{name}": {count}' for name, count in (every | counts).items())
        return {"kind": "end", "stream": stream, "value": f"{{{text}}}".encode()}

    letter = {"kind": "letter", "stream": "payments", "value": b'{"reason":"not-json"}'}
    first = counts_of([letter, end("payments", records=3, events=2, refused=1, scores=1)])
    second = counts_of([end("visits", records=1, events=1), end("payments", records=2, duplicates=2)])
    fault = dict.fromkeys(first[0]) | {"fault": "away"}
    assert turn_of([*first, *second, fault]) == Turn.of(
        {"payments": Tally(5, 2, 2, 1, {"not-json": 1}), "visits": Tally(1, 1)}
    )


def test_a_query_is_ready_once_a_batch_left_nothing_behind() -> None:
    meter = Meter.of(SystemClock())

    def looked(left: int) -> None:
        meter.looked(Look("2026-11-29T23:00:01.250Z", 0.5, {(0, "bank.payments"): left}, 1, 1))

    looked(5_000)
    with pytest.raises(HeadwaterError, match="5,000 records behind"):
        meter.pulse.ready()
    looked(0)
    assert meter.pulse.ready() == {"status": "ready", "partitions": 1}
    looked(9)
    assert meter.pulse.ready() == {"status": "ready", "partitions": 1}
