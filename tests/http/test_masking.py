"""What is hidden: secrets and people in the log, personal values from those who are no administrators."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

import headwater as hw
from headwater.apps.access.principal import OPEN, Principal
from headwater.apps.http import logs
from headwater.apps.http.answers import of_decision
from headwater.apps.http.security import mask_for
from headwater.apps.masking import Mask
from headwater.core.schema import PERSONAL
from headwater.store.credentials import Role
from tests.http.house import House
from tests.serving.bank import PROJECT

VISITS = hw.Stream("visits", {"who": pl.String, "time": pl.Datetime("us", "UTC")}, personal=["who"])
LIKE_A_KEY = "hw_0123456789ab_0123456789abcdef"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the service logs."""
    known = {name: logging.getLogger(name) for name in ("headwater", "uvicorn")}
    before = {name: (one.handlers[:], one.propagate, one.level) for name, one in known.items()}
    stream = io.StringIO()
    logs.set_up("info", stream, Mask([VISITS]))
    yield stream
    for name, one in known.items():
        one.handlers[:], one.propagate, one.level = before[name]


@pytest.mark.parametrize("name", ["headwater.http", "uvicorn.error"])
def test_no_log_line_holds_a_secret_or_a_person(lines: io.StringIO, name: str) -> None:
    log = logging.getLogger(name)
    log.warning("came with %s", LIKE_A_KEY, extra={"who": "Ada"})
    nothing: dict[str, str] = {}
    try:
        nothing[LIKE_A_KEY]
    except KeyError:
        log.exception("bug")
    assert "Ada" not in lines.getvalue()
    assert LIKE_A_KEY not in lines.getvalue()
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert first["who"] == PERSONAL
    assert second["error"] == "KeyError"
    assert second["where"]


def _asked(principal: Principal | None) -> dict[str, Any]:
    return {"type": "http"} | ({} if principal is None else {"headwater.principal": principal})


def test_administrators_see_all() -> None:
    analyst = Principal("key:1", "a", frozenset({Role.ANALYST}), "key")
    mask = Mask.of(PROJECT)
    assert mask_for(_asked(OPEN), mask) is None
    assert mask_for(_asked(None), mask) is None
    assert mask_for(_asked(analyst), mask) is mask


def test_a_decision_of_a_model_that_nobody_knows_is_told_without_values(house: House) -> None:
    made = house.client.decide({"who": 3})
    record = house.service.decisions.get(made.decision_id)
    shown = of_decision(record, Mask())
    assert shown["keys"] == {"who": PERSONAL}
    assert {value for value in shown["features"].values() if value is not None} == {PERSONAL}
    assert {**of_decision(record, Mask.of(PROJECT)), "reasons": 0} == {**of_decision(record), "reasons": 0}
