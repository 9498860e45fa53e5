"""Outcomes by week over decision records: measured where labels are mature, estimated where not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headwater.apps.watching.outcomes import outcomes
from headwater.core.instant import DAY, instant
from headwater.log.embedded import EmbeddedLog
from tests.apps.cli.conftest import Headwater
from tests.apps.watching.house import CUSTOMERS, LEARNED, open_place

STRETCH = ("--from", "2026-05-01", "--to", "2026-05-22", "--bootstrap", "20")


@pytest.mark.usefixtures("lender")
def test_weeks_are_measured_once_their_labels_are_mature(headwater: Headwater) -> None:
    found = headwater("outcomes", *STRETCH, "--json").json
    first, second, third = found["periods"]
    assert (first["from"], first["decided"], first["matured"]) == ("2026-05-01T00:00:00Z", 480, 480)
    assert set(first["measured"]) == {"roc_auc", "average_precision", "ks", "brier", "calibration_error"}
    assert first["measured"]["roc_auc"][0] > 0.6
    # The log ends on 22 May, a label takes ten days: of the days 8, 10, 12 and 14 the first two are known.
    assert (second["decided"], second["matured"]) == (640, 320)
    assert (third["matured"], third["measured"]) == (0, {})
    assert third["why_not"] == "no label is mature yet; all are from 2026-06-01T00:00:00Z on"
    assert "roc_auc" in third["estimated"]
    assert found["report"] == 1
    assert headwater("outcomes", *STRETCH, "--json").json["report"] == 1  # the same is kept once


@pytest.mark.usefixtures("lender")
def test_the_table(headwater: Headwater) -> None:
    ended = headwater("outcomes", *STRETCH)
    assert ended.code == 0
    assert "a label takes 10d to mature, so what is newer is estimated." in ended.out
    assert "no label is mature yet; all are from 2026-06-01T00:00:00Z on" in ended.out


def test_labels_are_those_that_came_true(lender: Path) -> None:
    place = open_place(lender)
    now = instant("2026-11-01T00:00:00Z")
    with EmbeddedLog.open(place.folder.log, place.project.streams) as log:
        found = outcomes(place, log, LEARNED, LEARNED + 7 * DAY, now=now, bootstrap=0)
        events = pl.concat([batch.frame for batch in log.scan(["payments"])])
    large = events.filter(pl.col("amount") > 400)
    who, time = large["who"].to_numpy(), large["time"].to_physical().to_numpy()
    expected = sum(
        bool(np.any((who == one) & (time > t) & (time <= t + 10 * DAY)))
        for t in range(LEARNED + DAY, LEARNED + 7 * DAY, 2 * DAY)
        for one in range(CUSTOMERS)
    )
    assert 0 < expected < 480
    assert found.performance.periods[0].positives == expected
