"""What is personal or secret is not seen where it is shown: listings, dead letters, errors, logs."""

from __future__ import annotations

import io
import json
import logging

import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import headwater as hw
from headwater.apps.masking import LogMask, Mask, redacted
from headwater.core.errors import Problem
from headwater.log.protocol import DeadLetter
from headwater.store.decision import Decision, Reason

CLOCK = pl.Datetime("us", "UTC")
SECRET = "hw_3f9c0a7be412_" + "0123456789abcdef" * 4
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlc2lnbmF0dXJl"  # noqa: S105 - signed by nobody

PEOPLE = hw.Stream(
    "people",
    {
        "id": pl.Int64,
        "who": pl.String,
        "time": CLOCK,
        "income": pl.Float64,
        "town": pl.String,
        "amount": pl.Float64,
    },
    id="id",
    personal=["who", "income"],
)
PLAIN = hw.Stream("plain", {"who": pl.Int64, "time": CLOCK, "amount": pl.Float64})
VIEW = hw.FeatureView(
    "person",
    PEOPLE,
    "who",
    {
        "income": hw.last("income"),
        "spent": hw.sum("amount", over="7d"),
        "n": hw.count(where=pl.col("income") > 5),
    },
)
MODEL = hw.Model(
    "risk",
    features=[VIEW],
    derived={"burn": pl.col("spent_7d") / pl.col("income"), "twice": pl.col("spent_7d") * 2},
    label=hw.happens(PEOPLE, pl.col("amount") > 5, within="7d"),
    observe=hw.each(PEOPLE),
    request=["town"],
    estimator=LogisticRegression(),
)
MASK = Mask([PEOPLE, PLAIN], [MODEL])
ADA = {
    "id": 7,
    "who": "Ada Lovelace",
    "time": "2026-01-01",
    "income": 81234.5,
    "town": "London",
    "amount": None,
}


def test_an_event() -> None:
    assert MASK.event("people", ADA) == {
        "id": 7,
        "who": "(personal)",
        "time": "2026-01-01",
        "income": "(personal)",
        "town": "London",
        "amount": None,
    }


def test_a_misspelt_field_is_still_personal() -> None:
    assert MASK.event("people", {"whom": "Ada", "id": 7}) == {"whom": "(personal)", "id": 7}
    assert MASK.event("plain", {"whom": "Ada", "who": 7}) == {"whom": "Ada", "who": 7}


def test_a_stream_that_nobody_declared() -> None:
    assert MASK.event("peple", {"a": 1, "b": None}) == {"a": "(personal)", "b": None}


def letter(event: str, stream: str = "people", message: str = "amount is missing") -> DeadLetter:
    return DeadLetter(stream, 5, "null-key", message, event, "p.csv[1]", 3)


def test_a_dead_letter() -> None:
    shown = MASK.letter(letter(json.dumps(ADA), message="'Ada Lovelace' came twice, with 81234.5"))
    assert json.loads(shown.event) == MASK.event("people", ADA)
    assert shown.message == "'(personal)' came twice, with (personal)"
    assert (shown.id, shown.source, shown.reason) == (3, "p.csv[1]", "null-key")


@pytest.mark.parametrize("event", ["", "Ada Lovelace,81234.5", '["Ada"]', '{"who": "Ada', "[" * 100_000])
def test_a_dead_letter_that_cannot_be_read_is_masked_whole(event: str) -> None:
    assert MASK.letter(letter(event)).event == '"(personal)"'
    assert MASK.letter(letter(event, "unknown")).event == '"(personal)"'
    assert MASK.letter(letter(event, "plain")).event == event


def test_nested_values_go_as_a_whole() -> None:
    event = json.dumps({"who": {"first": "Ada", "last": ["Lovelace"]}, "town": {"name": "London"}})
    shown = MASK.letter(letter(event)).event
    assert json.loads(shown) == {"who": "(personal)", "town": {"name": "London"}}


def test_an_error_about_an_event() -> None:
    one = Problem(
        "who is wrong: 'Ada Lovelace'", "a name", "Ada Lovelace", "$.events[7].who", "correct Ada Lovelace"
    )
    (shown,) = MASK.problems([one], "people", ADA)
    assert shown == Problem(
        "who is wrong: '(personal)'", "a name", "(personal)", "$.events[7].who", "correct (personal)"
    )


def test_a_short_value_is_masked_only_as_a_word() -> None:
    event = {"who": "Adam"}
    assert (
        MASK.text("Adam, not Adamant; 'Adam'.", "people", event) == "(personal), not Adamant; '(personal)'."
    )
    assert MASK.text("7 and x", "people", {"who": "7", "income": "x"}) == "7 and x"


def test_a_decision() -> None:
    decision = Decision(
        "risk", "d", "h", "p", "q", {"who": "Ada"}, 5, 0, 5,
        {"income": 5.0, "spent_7d": 7.0, "n": 1.0, "town": 2.0, "burn": 1.4, "twice": 14.0},
        0.5, "act",
        (Reason("r", "income", 5.0, 4.0, 0.1), Reason("s", "spent_7d", 7.0, 4.0, 0.1)),
        {"town": "London"},
    )  # fmt: skip
    shown = MASK.decision(decision)
    assert shown["keys"] == {"who": "(personal)"}
    assert shown["features"] == {
        "income": "(personal)",
        "spent_7d": 7.0,
        "n": "(personal)",
        "town": 2.0,
        "burn": "(personal)",
        "twice": 14.0,
    }
    assert [reason["value"] for reason in shown["reasons"]] == ["(personal)", 7.0]
    assert (shown["request"], shown["score"]) == ({"town": "London"}, 0.5)
    unknown = Mask().decision(decision)
    assert set(unknown["features"].values()) == {"(personal)"}
    assert MASK.values("risk", {"who": "Ada", "town": "London"}) == {"who": "(personal)", "town": "London"}


# --- Secrets and logs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {SECRET}.", "key hw_3f9c0a7be412_(secret)."),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer (secret)"),
        (f"?token={TOKEN}&x=1", "?token=(secret)&x=1"),
        (TOKEN[:-20], "(secret)"),
        ("authorization: basic YWRhOmh1bnRlcjI=", "authorization: basic (secret)"),
        ("postgres://ada:hunter2@db/x", "postgres://ada:(secret)@db/x"),
        ("the bearer of this letter", "the bearer of this letter"),
        ("hw_3f9c0a7be412 was revoked", "hw_3f9c0a7be412 was revoked"),
    ],
)
def test_secrets_in_texts(text: str, shown: str) -> None:
    assert redacted(text) == shown


def logged(*args: object, **kwargs: object) -> str:
    """What a handler with a mask writes, extras included."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(LogMask(MASK))
    handler.setFormatter(logging.Formatter("%(message)s %(extra)s", defaults={"extra": ""}))
    logger = logging.Logger("headwater")  # noqa: LOG001 - one of its own, so that no other handler hears it
    logger.addHandler(handler)
    logger.info(*args, **kwargs)  # type: ignore[arg-type]
    return out.getvalue()


def test_log_lines() -> None:
    assert logged("sent %s and %r", SECRET, {"t": TOKEN}) == (
        "sent hw_3f9c0a7be412_(secret) and {'t': '(secret)'} \n"
    )
    assert logged("x", extra={"extra": {"income": 5, "id": 1, "deep": [{"who": "Ada"}], "t": TOKEN}}) == (
        "x {'income': '(personal)', 'id': 1, 'deep': [{'who': '(personal)'}], 't': '(secret)'}\n"
    )


def test_tracebacks() -> None:
    def fail() -> None:
        raise ValueError(f"with {SECRET}")

    try:
        fail()
    except ValueError as error:
        text = logged("failed", exc_info=error)
    assert "ValueError: with hw_3f9c0a7be412_(secret)" in text
    assert SECRET not in text
