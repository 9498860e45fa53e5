"""Any views, any log, any keys: what is read through Redis is what their engine says, to the bit."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from hypothesis import given

from headwater.engine.run import Engine
from headwater.scale.redis.publisher import Publisher
from headwater.scale.redis.source import Source
from headwater.scale.redis.states import Held
from headwater.scale.redis.vectors import OnlineVectors
from headwater.serving.vectors import Moment, Vectors
from tests.engine.cases import Case
from tests.engine.hosts import bits
from tests.engine.strategies import cases, trials
from tests.scale.redis.cases import address, until


@trials
@given(case=cases())
def test_redis_and_embedded_agree_to_the_bit(services: Mapping[str, str], case: Case) -> None:
    at, faults = address(services), list[Any]()
    held = Held(f"case{secrets.token_hex(4)}", case.views, Vectors(Engine(case.views)))
    publisher = Publisher(
        at, lambda: held, time.time_ns, time.perf_counter_ns, lambda *told: faults.append(told)
    )
    source = Source(at, held.name, case.views, time.perf_counter_ns)
    online = OnlineVectors(case.views, source)
    fed = 0
    with publisher.start():
        until(lambda: publisher.published.whole)
        for ask in sorted(case.asks, key=lambda one: case.arrived(one.time)):
            for _, batch in case.batches(fed, case.arrived(ask.time), range(0, len(case.log), 3)):
                held.vectors.apply(batch)
                publisher.applied(batch)
            fed = case.arrived(ask.time)
            until(lambda: publisher.published.offset == held.vectors.offset)
            for view in case.views:
                key, moment = ask.keys[view.key], Moment(ask.time)
                wanted = held.vectors.read_view(view, key, moment)
                found = online.read_view(view, key, moment)
                assert bits([dict(found.values)]) == bits([dict(wanted.values)])
                assert (found.time, found.offset) == (wanted.time, wanted.offset)
    source.close()
    assert faults == []
