"""What goes out to topics, as JSON: fresh scores keyed by their entity, refused events.

::

    {"model":"risk","version":"9f2c…","keys":{"who":7},"time":"2026-01-02T00:00:00Z","score":0.173,
     "partition":3,"offset":41199}

``score`` reads back to the same bits. Called by ``host``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from headwater.core.instant import iso
from headwater.scale.kafka.partition import Letter
from headwater.serving.rescored import Rescored

_encode = msgspec.json.Encoder().encode

Pairs = Iterator[tuple[bytes, bytes]]  # key and value


def scores(rescored: Rescored, partition: int) -> Pairs:
    """The scores of one model after some events: one an entity, the last."""
    scoring = rescored.scoring
    model, digest = scoring.model, scoring.digest
    (key,) = model.keys  # more are refused at the start
    named = rescored.entities.column(key)
    columns = rescored.time.tolist(), rescored.offset.tolist(), rescored.score.tolist()
    for entity, time, offset, score in zip(named, *columns, strict=True):
        told = {
            "model": model.name,
            "version": digest,
            "keys": {key: entity},
            "time": iso(time),
            "score": score,
            "partition": partition,
            "offset": offset,
        }
        yield str(entity).encode(), _encode(told)


def letters(refused: Sequence[Letter], partition: int) -> Pairs:
    """Events that were not taken in; the event is as it came, personal values and all: guard the topic."""
    for one in refused:
        told = {
            "stream": one.stream,
            "partition": partition,
            "offset": one.offset,
            "arrival": iso(one.arrival),
            "reason": one.reason,
            "message": one.message,
            "event": one.event,
        }
        yield f"{one.stream}-{partition}".encode(), _encode(told)
