"""Ready again: the newest whole snapshot, and the tail of the log behind it.

Called by ``keeping``, at the start of a service and for its snapshots, and by ``swap`` for changed
definitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.definitions.view import FeatureView
from headwater.engine.run import Engine
from headwater.log.protocol import EventLog
from headwater.store.ahead import Ahead
from headwater.store.snapshots import Restored, Snapshots


@dataclass(frozen=True, slots=True)
class Risen:
    """An engine that has taken in the whole log.

    Attributes:
        engine: at the log's last offset.
        from_offset: of the snapshot that it rose from, -1 without one.
        replayed: events taken from the log.
        passed_over: snapshots that could not be used, with the reason.
        damaged: those of them that should not be so: damaged, or of another log.
    """

    engine: Engine
    from_offset: int
    replayed: int
    passed_over: tuple[str, ...]
    damaged: tuple[str, ...]


def rise(
    views: Sequence[FeatureView], log: EventLog, snapshots: Snapshots | None, ahead: Ahead | None = None
) -> Risen:
    """An engine for some views.

    Args:
        views: whose state.
        log: the events.
        snapshots: where to begin; None for the beginning of the log.
        ahead: the newest of them, already being read.

    Raises:
        LogError: the log cannot be read.
    """
    restored = Restored(None) if snapshots is None else snapshots.newest(views, ahead, log.end())
    engine = Engine(views) if restored.engine is None else restored.engine
    start = engine.offset
    replayed = catch_up(engine, log)
    return Risen(engine, start, replayed, restored.passed_over, restored.damaged)


def catch_up(engine: Engine, log: EventLog) -> int:
    """Take in what the log holds beyond the engine's offset; how many events."""
    start, taken = engine.offset + 1, 0
    stop = log.end()
    streams = list(dict.fromkeys(state.view.stream.name for state in engine.states.values()))
    for batch in log.scan(streams, start=start, stop=stop, by_stream=True):
        engine.apply(batch)
        taken += len(batch)
    engine.offset = max(engine.offset, stop - 1)
    return taken
