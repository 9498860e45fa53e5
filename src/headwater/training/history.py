"""The events to learn from: a log, batches of one, or plain frames, as one batch for each stream.

Called by ``training.dataset``. The order of the log, and when each event arrived, are kept; in plain
frames an event arrives when it happens, and rows of equal time keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.core.schema import check_frame
from headwater.definitions.label import Happens
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.stream import Stream
from headwater.log.protocol import EventLog

Events = EventLog | Mapping[str, Any]


def streams_of(model: Model) -> tuple[Stream, ...]:
    """The streams that a model reads, each once: of its views, its observations and its label."""
    found = [view.stream for view in model.features]
    if isinstance(model.observe, Each):
        found.append(model.observe.stream)
    if isinstance(model.label, Happens):
        found.append(model.label.stream)
    return tuple({stream.name: stream for stream in found}.values())


def gather(events: Events, streams: Sequence[Stream]) -> dict[str, Batch]:
    """All events of the streams, one batch for each.

    Args:
        events: a log, or a mapping from stream name to a batch or a frame (Polars, pandas or Arrow).
        streams: which to take.

    Raises:
        DataError: a stream is missing, or its frame does not fit the schema.
    """
    if not isinstance(events, Mapping):
        return _scanned(events, streams)
    missing = [stream.name for stream in streams if stream.name not in events]
    if missing:
        raise DataError.of(
            "streams that the model reads are missing",
            expected=", ".join(stream.name for stream in streams),
            got=", ".join(events) or "no streams",
            do="give the events of " + ", ".join(missing),
        )
    return {stream.name: _batch(stream, events[stream.name]) for stream in streams}


def _scanned(log: EventLog, streams: Sequence[Stream]) -> dict[str, Batch]:
    parts: dict[str, list[Batch]] = {stream.name: [] for stream in streams}
    for batch in log.scan(list(parts), by_stream=True):
        parts[batch.stream].append(batch)
    return {stream.name: _joined(stream, parts[stream.name]) for stream in streams}


def _joined(stream: Stream, parts: Iterable[Batch]) -> Batch:
    whole = list(parts)
    if not whole:
        return _batch(stream, pl.DataFrame(schema=dict(stream.schema)))
    return Batch(
        stream.name,
        np.concatenate([part.offset for part in whole]),
        np.concatenate([part.arrival for part in whole]),
        np.concatenate([part.time for part in whole]),
        pl.concat([part.frame for part in whole]),
    )


def _batch(stream: Stream, events: Any) -> Batch:
    if isinstance(events, Batch):
        return events
    checked = check_frame(
        events, stream.schema, time=stream.time, id=stream.id, strict=True, name=stream.name
    )
    order = np.argsort(checked.time, kind="stable")
    time = checked.time[order]
    return Batch(stream.name, np.arange(len(time)), time, time, checked.accepted[order])
