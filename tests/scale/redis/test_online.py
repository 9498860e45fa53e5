"""What is read from Redis is what the engine says, to the bit, while events come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from headwater.core.errors import OnlineError
from headwater.serving.vectors import Moment
from tests.http.test_events import pay
from tests.scale.redis.cases import address, online, owner, project, published
from tests.serving.bank import SPENDING, micros, scoring

SOME = [*range(0, 20, 3), 777]  # the last one is a stranger


def test_vectors_are_the_engines_own(services: Mapping[str, str], tmp_path: Path) -> None:
    at, of = address(services), project()
    dice = np.random.default_rng(5)
    with owner(tmp_path, at, of) as (service, publisher, hooks):
        vectors = online(at, of)
        published(service, publisher)
        for turn in range(30):
            day = 100.0 + turn / 100
            events = [pay(80_000 + 10 * turn + i, int(dice.integers(0, 25)), day) for i in range(turn % 7)]
            if events:
                service.submit_rows("payments", events, size=100).result(20)
            published(service, publisher)
            for who in SOME:
                for wait in (0, 1, micros(3) - micros(0), micros(40) - micros(0)):
                    moment = Moment(micros(day) + wait, exact=bool(turn % 2))
                    wanted = service.serving.vectors.vector(scoring(), {"who": who}, moment, {})
                    found = vectors.vector(scoring(), {"who": who}, moment, {})
                    assert found.x.tobytes() == wanted.x.tobytes()
                    assert (found.time, found.offset) == (wanted.time, wanted.offset)
                view = service.serving.vectors.read_view(SPENDING, who, moment)
                assert vectors.read_view(SPENDING, who, moment) == view
        assert hooks.faults == []


def test_nobody_decides_from_an_empty_store(services: Mapping[str, str]) -> None:
    vectors = online(address(services), project())
    with pytest.raises(OnlineError) as caught:
        vectors.vector(scoring(), {"who": 1}, Moment(micros(100)), {})
    assert caught.value.problems[0].got == "no state, or one that is being filled"
