"""What goes out to topics, as JSON: fresh scores keyed by their entity, refused events.

::

    {"model":"risk","version":"9f2c…","keys":{"who":7},"time":"2026-01-02T00:00:00Z","score":0.173,
     "partition":3,"offset":41199}

``score`` reads back to the same bits. Called by ``host``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from headwater.core.instant import SECOND, iso
from headwater.scale.kafka.entrance import Letter
from headwater.serving.rescored import Rescored

_encode = msgspec.json.Encoder().encode

Pairs = Iterator[tuple[bytes, bytes]]  # key and value


def scores(rescored: Rescored, partition: int) -> Pairs:
    """The scores of one model after some events: one an entity, the last."""
    model = rescored.scoring.model
    (key,) = model.keys  # more are refused at the start
    entities = rescored.entities.column(key)
    names = [str(entity).encode() for entity in entities]
    numbers = entities and isinstance(entities[0], int) and not isinstance(entities[0], bool)
    shown = names if numbers else [_encode(entity) for entity in entities]
    before = _encode({"model": model.name, "version": rescored.scoring.digest, "keys": {key: 0}})[:-3]
    after = b',"partition":%d,"offset":%d}'
    _, offsets, scores_ = rescored.numbers
    times = _isos(rescored.time)
    written = _encode(scores_)[1:-1].split(b",")
    for name, entity, time, offset, score in zip(names, shown, times, offsets, written, strict=True):
        yield (
            name,
            b'%b%b},"time":"%b","score":%b' % (before, entity, time, score) + after % (partition, offset),
        )


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


def _isos(times: npt.NDArray[np.int64]) -> list[bytes]:
    """``core.instant.iso`` of many instants at once."""
    written = np.datetime_as_string(times.view("datetime64[us]"), unit="us").astype("S26").tolist()
    whole = (times % SECOND == 0).tolist()
    return [(text[:19] if short else text) + b"Z" for text, short in zip(written, whole, strict=True)]
