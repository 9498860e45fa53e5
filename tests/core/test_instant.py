from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import DataError, DefinitionError
from headwater.core.instant import DAY, EARLIEST, HOUR, LATEST, MINUTE, WEEK, instant, iso, span, span_text
from tests.letters import says


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1us", 1),
        ("5ms", 5_000),
        ("1h30m", 90 * MINUTE),
        ("2w", 2 * WEEK),
        (timedelta(hours=1), HOUR),
        (7, 7),
    ],
)
def test_spans(text: str, size: int) -> None:
    assert span(text) == size


@given(st.integers(1, LATEST))
def test_a_span_s_text_is_its_inverse(size: int) -> None:
    assert span(span_text(size)) == size


@pytest.mark.parametrize("text", ["", "d", "7", "7 d", "7x", "-7d", "1.5d", "d7", True, None, 1.5])
def test_no_span(text: object) -> None:
    with says(
        DefinitionError,
        f"""
        a span of time cannot be read
          expected: a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'
          got:      {text!r}
          do:       write the span with its unit
        """,
    ):
        span(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0d", "99999w", -5, timedelta(days=-1)])
def test_a_span_is_positive_and_ends(text: str) -> None:
    with says(
        DefinitionError,
        f"""
        a span of time must be longer than zero and shorter than 142 years
          expected: a positive span such as '30d'
          got:      {text!r}
          do:       give a positive span
        """,
    ):
        span(text)


def test_instants() -> None:
    assert instant("1970-01-02T02:00:00+02:00") == DAY
    assert instant(datetime(1970, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))) == DAY
    assert instant(5) == 5


@given(st.integers(EARLIEST, LATEST))
def test_an_instant_s_text_is_its_inverse(time: int) -> None:
    assert instant(iso(time)) == time


def test_no_zone_no_instant() -> None:
    with says(
        DataError,
        """
        a time has no zone
          expected: a time with a zone, such as 2026-01-31T12:00:00Z
          got:      2026-01-31T12:00:00
          do:       add the zone; UTC is written Z
        """,
    ):
        instant("2026-01-31T12:00:00")


def test_no_time_at_all() -> None:
    with says(
        DataError,
        """
        a time cannot be read
          expected: ISO 8601 with a zone, such as 2026-01-31T12:00:00Z
          got:      'yesterday'
          do:       write the time in ISO 8601
        """,
    ):
        instant("yesterday")


@pytest.mark.parametrize("moment", [LATEST + 1, EARLIEST - 1, datetime(2200, 1, 1, tzinfo=UTC)])
def test_out_of_range(moment: int) -> None:
    with pytest.raises(DataError, match="a time is out of range"):
        instant(moment)
