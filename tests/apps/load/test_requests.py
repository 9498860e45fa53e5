"""What is sent fits what is served: any type, new ids, times of now or late, or a file's own values."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import headwater as hw
from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Request
from headwater.apps.load.requests import (
    Decisions,
    DecisionsOfFile,
    Desk,
    Events,
    EventsOfFile,
    Mixed,
    Posting,
    decisions_of,
    lines_of,
)
from headwater.apps.load.target import Target
from headwater.core.errors import DataError
from headwater.core.instant import instant
from headwater.core.schema import check_frame
from headwater.definitions.compile import compiled
from tests.letters import says
from tests.serving.bank import PROJECT

CLOCK = pl.Datetime("us", "UTC")
NOW = 1_800_000_000_000_000
DESK = Desk(Address.of("http://a.example:81/live"), {"Authorization": "Bearer hw_x"})
TARGET = Target.of(compiled(PROJECT))

EVERYTHING = hw.Stream(
    "everything",
    {
        "id": pl.String, "at": CLOCK, "who": pl.String, "n": pl.Int8, "m": pl.UInt32, "x": pl.Float32,
        "yes": pl.Boolean, "kind": pl.Enum(["a", "b, 'c'"]), "told": pl.Categorical, "born": pl.Date,
        "seen": pl.Datetime("ms", "Europe/Prague"), "text": pl.String,
    },
    id="id",
    time="at",
)  # fmt: skip
RISKY = pl.col("text").is_in(["cash", "gambling"]) & (pl.col("told") == "fraud")
VIEW = hw.FeatureView(
    "v", EVERYTHING, "who", {"n": hw.count(where=RISKY, over="1d"), "m": hw.count(where=pl.col("x") > 3)}
)


def body(request: Request | None) -> Any:
    assert request is not None
    return json.loads(request.data.partition(b"\r\n\r\n")[2])


def events(posting: Posting, **kw: Any) -> Events:
    given: dict[str, Any] = {
        "stream": TARGET.stream("payments"),
        "entities": 50,
        "clock": lambda: NOW,
        "seed": 1,
    }
    return Events(DESK, posting=posting, **(given | kw))


def everything() -> Target:
    model = hw.Model(
        "m",
        features=[VIEW],
        label=hw.happens(EVERYTHING, pl.col("yes"), within="1d"),
        observe=hw.each(EVERYTHING),
        estimator=PROJECT.models[0].estimator,
        request=["n", "kind"],
    )
    return Target.of(compiled(hw.Project("p", models=[model], policies=[hw.Policy("q", model, {"a": 0.0})])))


def test_a_decision_is_asked_for_as_the_api_wants_it() -> None:
    source = Decisions(DESK, TARGET.policy(None), 50, seed=0)
    request = source.next()
    head, _, sent = request.data.partition(b"\r\n\r\n")
    assert request.kind == "decisions"
    assert head.decode().split("\r\n") == [
        "POST /live/v1/decisions HTTP/1.1",
        "Host: a.example:81",
        "Authorization: Bearer hw_x",
        "Content-Type: application/json",
        f"Content-Length: {len(sent)}",
    ]
    assert json.loads(sent).keys() == {"policy", "keys", "request"}
    keys = {body(source.next())["keys"]["who"] for _ in range(1_500)}
    assert keys == set(range(1, 51))


def test_request_columns_are_drawn_by_their_type() -> None:
    found = [body(Decisions(DESK, everything().policy("q"), 9, seed).next()) for seed in range(20)]
    assert {one["request"]["kind"] for one in found} == {"a", "b, 'c'"}
    assert all(0 <= one["request"]["n"] <= 127 for one in found)
    assert all(one["keys"]["who"].startswith("who-") for one in found)


@pytest.mark.parametrize("media", ["json", "ndjson", "arrow"])
@pytest.mark.parametrize("count", [1, 700])
def test_events_of_every_type_come_through_the_door(media: str, count: int) -> None:
    source = events(Posting(count, media=media), stream=everything().stream(None))
    requests = [source.next().data.partition(b"\r\n\r\n")[2] for _ in range(3)]
    if media == "arrow":
        frame = pl.concat(pl.read_ipc_stream(io.BytesIO(one)) for one in requests)
    elif media == "ndjson":
        frame = pl.concat(pl.read_ndjson(one) for one in requests)
    else:
        frame = pl.DataFrame([row for one in requests for row in json.loads(one)["events"]])
    checked = check_frame(frame, EVERYTHING.schema, time="at", id="id", keys=["who"], newest=NOW, parse=True)
    assert checked.rejected.is_empty()
    assert checked.accepted["id"].n_unique() == 3 * count
    assert set(checked.time.tolist()) == {NOW}
    assert set(checked.accepted["text"]) <= {"cash", "gambling"}
    assert set(checked.accepted["told"]) == {"fraud"}


def test_so_many_events_come_late() -> None:
    for count in (1, 100):
        source = events(Posting(count, late=0.25, late_by=3_600_000_000))
        sent = [row for _ in range(2_000 // count) for row in body(source.next())["events"]]
        behind = [NOW - instant(row["time"]) for row in sent]
        late = [one for one in behind if one]
        assert 0.2 < len(late) / 2_000 < 0.3
        assert min(late) > 0
        assert 3_000_000_000 < max(late) <= 3_600_000_000


def test_a_files_events_are_sent_once_each(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text('{"id": 1}\n\n{"id": 2}\n{"id": 3}\n', encoding="utf-8")
    source = EventsOfFile(DESK, "payments", lines_of(file), Posting(2, refresh=True))
    first = source.next()
    assert first is not None
    assert b"/v1/events?refresh=true&stream=payments HTTP" in first.data
    assert first.data.endswith(b'\r\n\r\n{"id": 1}\n{"id": 2}')
    assert body(source.next()) == {"id": 3}
    assert source.next() is None


def test_a_files_values_come_with_new_ids_and_times() -> None:
    rows = pl.DataFrame({"id": [1, 2], "who": [7, 8], "amount": [1.5, 2.5], "time": ["old", "old"]})
    source = events(Posting(), rows=rows)
    sent = [body(source.next())["events"][0] for _ in range(40)]
    assert {(row["who"], row["amount"]) for row in sent} == {(7, 1.5), (8, 2.5)}
    assert [row["id"] for row in sent] == list(range(NOW, NOW + 40))
    assert {instant(row["time"]) for row in sent} == {NOW}


def test_two_kinds_are_mixed() -> None:
    both = Mixed(Decisions(DESK, TARGET.policy(None), 5, 0), events(Posting()), 0.8, seed=3)
    kinds = [request.kind for _ in range(1_000) if (request := both.next()) is not None]
    assert 750 < kinds.count("decisions") < 850
    assert kinds.count("events") == 1_000 - kinds.count("decisions")


def test_a_files_decisions_come_again_and_again(tmp_path: Path) -> None:
    file = tmp_path / "ask.ndjson"
    file.write_text('{"keys": {"who": 1}}\n{"keys": {"who": 2}}\n', encoding="utf-8")
    source = DecisionsOfFile(DESK, decisions_of(lines_of(file), file))
    assert [body(source.next())["keys"]["who"] for _ in range(5)] == [1, 2, 1, 2, 1]


def test_a_file_is_looked_through_before_anything_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "f.ndjson"
    file.write_text('{"keys": {}}\n[1]\n', encoding="utf-8")
    with says(
        DataError,
        f"""
        a line of the file is no JSON object
          expected: one object a line
          where:    {file}, line 2
          do:       correct the line
        """,
    ):
        lines_of(file)
    file.write_text('{"keys": {}}\n{"who": 1}\n', encoding="utf-8")
    with says(
        DataError,
        f"""
        a line of the file is no decision's request
          expected: {{"keys": {{...}}, "request": {{...}}}}, with "policy" and "at" if need be
          where:    {file}, line 2
          do:       correct the line
        """,
    ):
        decisions_of(lines_of(file), file)
    file.write_text("\n", encoding="utf-8")
    with says(
        DataError,
        f"""
        the file is empty
          where:    {file}
          do:       give a file with one object a line
        """,
    ):
        lines_of(file)


def test_a_stream_or_policy_must_be_known() -> None:
    with says(
        DataError,
        """
        the project has more than one stream
          expected: payments, profiles
          do:       name one with --stream
        """,
    ):
        TARGET.stream(None)
    with says(
        DataError,
        """
        there is no such policy
          expected: lend
          got:      'borrow'
          do:       name one with --policy
        """,
    ):
        TARGET.policy("borrow")


def test_ids_that_cannot_be_new_are_refused() -> None:
    small = hw.Stream("small", {"id": pl.Int32, "who": pl.Int64, "time": CLOCK}, id="id")
    view = hw.FeatureView("v", small, "who", {"n": hw.count(over="1d")})
    model = hw.Model(
        "m",
        features=[view],
        label=hw.happens(small, pl.col("who") > 1, within="1d"),
        observe=hw.every("1d"),
        estimator=PROJECT.models[0].estimator,
    )
    target = Target.of(compiled(hw.Project("p", models=[model])))
    with says(
        DataError,
        """
        new ids cannot be made for this stream
          expected: Int64, UInt64 or String
          got:      Int32
          where:    small.id
          do:       give the events in a file: --file
        """,
    ):
        events(Posting(), stream=target.stream(None))
