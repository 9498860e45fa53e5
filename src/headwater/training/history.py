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
from headwater.definitions.expression import columns
from headwater.definitions.label import Happens, Outcome
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.stream import Stream
from headwater.engine.batches import batch_of
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


def columns_of(model: Model, stream: Stream) -> tuple[str, ...]:
    """The columns of a stream that a model reads: for its views, its label and its observations."""
    views = [view for view in model.features if view.stream.name == stream.name]
    read = {stream.time, stream.id, *model.keys, *(name for view in views for name in view.reads)}
    if isinstance(model.label, Happens) and model.label.stream.name == stream.name:
        read.update(columns(model.label.where))
    if isinstance(model.observe, Each) and model.observe.stream.name == stream.name:
        read.update(columns(model.observe.where))
        read.update(model.request)
        if isinstance(model.label, Outcome):
            read.add(model.label.column)
    return tuple(name for name in stream.schema if name in read)


def gather(events: Events, streams: Sequence[Stream], keys: Sequence[str] = ()) -> dict[str, Batch]:
    """All events of the streams, one batch for each.

    Args:
        events: a log, or a mapping from stream name to a batch or a frame (Polars, pandas or Arrow).
        streams: which to take.
        keys: columns that may not be null, in those of the streams that have them.

    Raises:
        DataError: a stream is missing, or its frame does not fit the schema.
        ConflictError: an event id comes twice in a frame, with different content.
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
    return {stream.name: _given(stream, events[stream.name], keys) for stream in streams}


def _scanned(log: EventLog, streams: Sequence[Stream]) -> dict[str, Batch]:
    parts: dict[str, list[Batch]] = {stream.name: [] for stream in streams}
    for batch in log.scan(list(parts), by_stream=True):
        parts[batch.stream].append(batch)
    return {stream.name: _joined(stream, parts[stream.name]) for stream in streams}


def _joined(stream: Stream, parts: Iterable[Batch]) -> Batch:
    whole = list(parts)
    if not whole:
        return batch_of(stream, pl.DataFrame(schema=dict(stream.schema)), None, ())
    return Batch(
        stream.name,
        np.concatenate([part.offset for part in whole]),
        np.concatenate([part.arrival for part in whole]),
        np.concatenate([part.time for part in whole]),
        pl.concat([part.frame for part in whole]),
    )


def _given(stream: Stream, events: Any, keys: Sequence[str]) -> Batch:
    if isinstance(events, Batch):
        return events
    return batch_of(stream, events, None, [key for key in keys if key in stream.schema])
