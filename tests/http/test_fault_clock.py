"""The machine's clock is set back while the server runs: it decides on, and the log keeps its order.

::

    clock     100.5 ────────► set back to 70.5 ──────────────► right again 100.6
    log       arrival 100.5   arrival 100.5, 100.5 ...          arrival 100.6        never back
    as of     100.5           100.4: the newest event           100.6               never before what was seen
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from headwater.core.instant import iso
from headwater.testing import ManualClock
from tests.http.house import NOW, serving
from tests.http.test_events import pay, post
from tests.serving.bank import micros

BACK, DAY = 30, 86_400_000_000
VALUE = re.compile(r"^headwater_\S+(?: *\{.*\})? (\S+)$", re.MULTILINE)


class SetBack(ManualClock):
    """A clock that somebody sets back."""

    days = 0

    def now(self) -> int:
        return super().now() - self.days * DAY


def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    clock = SetBack(micros(NOW))
    with serving(tmp_path, clock=clock) as house:
        assert post(house, pay(70_001, 3, day=100.4, way="cash")).json()["accepted"] == 1
        before = house.client.decide({"who": 3})
        last = house.service.log.arrival()
        clock.days = BACK

        during = house.client.decide({"who": 3})
        assert during.time == iso(micros(100.4))  # not before what the account has seen
        assert during.features["since_cash"] == 0.0
        assert before.features["since_cash"] == 8_640.0  # seconds
        end = house.service.log.end()
        sent = post(
            house, *(pay(70_002 + i, 3, day=day) for i, day in enumerate((69.0, 100.45, 100.55)))
        ).json()
        assert [one.get("offset") for one in sent["results"]] == [end, end + 1, None]
        # The newest arrival counts as now: who sends with a right clock is taken, but for what came since.
        assert sent["results"][2]["reason"] == "in-the-future"
        assert post(house, pay(70_001, 3, day=100.4, way="cash")).json()["duplicates"] == 1

        clock.days = 0
        clock.advance("2h24m")
        done = house.http.post("/v1/dead-letters/redrive", json={"reason": "in-the-future"}).json()
        assert done == {"tried": 1, "taken": 1, "left": 0}
        after = house.client.decide({"who": 3})
        assert after.time == iso(clock.now())
        assert (after.offset, after.features["since_cash"]) == (end + 2, 17_280.0)

        made = [house.client.decision(one.decision_id) for one in (before, during, after)]
        assert made == [before, during, after]
        found = house.http.get("/v1/decisions", params={"key": "3"}).json()["decisions"]
        assert [one["decision_id"] for one in found] == [one.decision_id for one in made]
        assert all(house.client.replay(one.decision_id).same for one in made)
        assert house.service.decisions.verify() == len(house.service.decisions)
        values = [float(value) for value in VALUE.findall(house.http.get("/metrics").text)]
        assert len(values) > 50
        assert min(values) >= 0

        offset = np.concatenate([batch.offset for batch in house.service.log.scan()])
        arrival = np.concatenate([batch.arrival for batch in house.service.log.scan()])
        assert offset.tolist() == list(range(house.service.log.end()))
        assert (np.diff(arrival) >= 0).all()
        assert arrival[end : end + 2].tolist() == [last, last]
        assert house.service.log.verify().problems == ()
        house.monitors.round()
        assert house.monitors.parity.page() == []
        assert house.faults.faults == []
