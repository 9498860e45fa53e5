"""Where partitions stand, by what the client reports: restored, caught up, and by how much they lag."""

from __future__ import annotations

import json
from typing import Any

import pytest

import headwater as hw
from headwater.scale.kafka.keeper import Owned
from headwater.scale.kafka.partition import Partition
from headwater.scale.kafka.standing import Standing, Standings
from tests.serving import bank


@pytest.fixture
def owned() -> dict[int, Owned]:
    """Two partitions of the payments; the group stands at 5 in the first one."""
    project = hw.Project("bank", models=[bank.model(features=[bank.SPENDING], derived={})])
    return {n: Owned(Partition(project, {}), {"payments": committed}, 0) for n, committed in ((0, 5), (1, 0))}


def report(*parts: dict[str, Any]) -> str:
    usual = {"fetch_state": "active", "fetchq_cnt": 0, "next_offset": 0}
    told = {str(one["partition"]): usual | {"ls_offset": one["hi_offset"]} | one for one in parts}
    return json.dumps({"name": "x", "topics": {"bank.payments": {"partitions": told}}})


def look(standings: Standings, owned: dict[int, Owned], *parts: dict[str, Any]) -> Standing | None:
    standings.hear(report(*parts))
    return standings.look(owned)


def test_a_partition_is_restored_then_caught_up_then_only_lags(owned: dict[int, Owned]) -> None:
    """The end goes from 9 to 30 while it is read: it has caught up at 9.

    ::

        0        5       8 9                  30
        x x x x x x x x x x . . . . . . . . . .
                 committed  target            end
    """
    standings = Standings({"bank.payments": "payments"})
    standings.come(owned)
    assert standings.restored(owned) == [1]  # of which there was nothing
    empty = {"partition": 1, "hi_offset": 0}
    first = {"partition": 0, "hi_offset": 9, "fetchq_cnt": 3}
    assert look(standings, owned, first, empty) is None  # may tell of the time before
    assert look(standings, owned, first, empty) is None
    assert look(standings, owned, first, empty) == Standing(
        {(0, "payments"): 9, (1, "payments"): 0}, (0,), {"spending": 0}
    )
    assert standings.look(owned) is None, "nothing new was heard"
    owned[0].state.positions["payments"] = 5
    assert standings.restored(owned) == [0]
    assert standings.restored(owned) == []
    owned[0].state.positions["payments"] = 8
    found = look(standings, owned, first | {"hi_offset": 30}, empty)
    assert found is not None
    assert (found.lag[0, "payments"], found.behind) == (22, (0,))
    owned[0].state.positions["payments"] = 9
    found = look(standings, owned, first | {"hi_offset": 30}, empty)
    assert found is not None
    assert (found.lag[0, "payments"], found.behind) == (21, ())


def test_what_no_reader_sees_is_passed(owned: dict[int, Owned]) -> None:
    """Records that are gone, and the markers of transactions, are behind a reader whose queue is empty."""
    standings = Standings({"bank.payments": "payments"})
    standings.come(owned)
    gone = {"partition": 0, "hi_offset": 9, "next_offset": 9}
    other = {"partition": 1, "hi_offset": 4, "ls_offset": 2, "next_offset": 2}  # a transaction is open
    found = [look(standings, owned, gone, other) for _ in range(3)][-1]
    assert found == Standing({(0, "payments"): 0, (1, "payments"): 2}, (), {"spending": 0})
    assert standings.restored(owned) == [0, 1]


def test_ends_that_are_not_known_are_not_guessed(owned: dict[int, Owned]) -> None:
    standings = Standings({"bank.payments": "payments"})
    standings.come(owned)
    unknown = {"partition": 0, "hi_offset": -1001}
    stopped = {"partition": 1, "hi_offset": 0, "fetch_state": "stopped"}
    found = [look(standings, owned, unknown, stopped) for _ in range(3)][-1]
    assert found == Standing({}, (0, 1), {"spending": 0})
    standings.come({})
    assert look(standings, {}, unknown) is None
