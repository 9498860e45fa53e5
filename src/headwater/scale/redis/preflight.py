"""Before the first write: does Redis keep what it is given, and is the store cut as this owner cuts it?

An embedded log publishes one part, a Kafka host one for each partition; two kinds of owner, or two numbers of
partitions, would write over each other. Asked by ``publisher``, ``owners`` and ``scale.spark.publishing`` as
they begin; ``fenced`` refuses in the same words whoever begins while Redis does not answer, and claims later.
Read ``parts`` for how a store is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from headwater.core.errors import OnlineError
from headwater.scale.redis import names
from headwater.scale.redis.connection import Address, asking
from headwater.scale.redis.parts import Part


def see_that_it_fits(
    address: Address,
    client: redis.Redis,
    project: str,
    part: Part,
    on_fault: Callable[[str, BaseException], None],
) -> None:
    """See that Redis keeps what it is given, and is not another kind of owner's; say if it does not answer.

    Raises:
        OnlineError: it would throw states away when it is full, or the project's store is cut otherwise.
    """
    try:
        with asking(address):
            memory: Any = client.info("memory")
            found: Any = client.get(names.layout(project))
            one = bool(client.exists(names.marker(project)))
    except OnlineError as error:
        on_fault("online", error)
        return
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if memory.get("maxmemory") and policy.startswith("allkeys"):
        raise OnlineError.of(
            "the online store throws states away when it is full",
            expected="maxmemory-policy noeviction",
            got=policy,
            where=str(address),
            do="set maxmemory-policy noeviction, and give it enough memory",
        )
    there = (found or b"").decode()
    if there != part.layout and (there or one):
        raise otherwise(address, part.layout, there)


def otherwise(address: Address, wanted: str, found: str) -> OnlineError:
    """The letter for a store that is cut otherwise."""
    return OnlineError.of(
        "the project's online store is another kind of owner's",
        expected=_told(wanted),
        got=_told(found),
        where=str(address),
        do="let one of them publish; to change over, end the other and delete its keys, hw:{PROJECT}:*",
    )


def _told(layout: str) -> str:
    """How a store is cut, in words."""
    return (
        f"{layout.split()[0]} parts, of the partitions of Kafka's topics"
        if layout
        else "one, of an embedded log"
    )
