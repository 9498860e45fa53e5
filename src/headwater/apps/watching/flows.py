"""How the streams of a model flowed in a window, from the log: how many events, and how late they came.

Called by ``drift``.
"""

from __future__ import annotations

import numpy as np

from headwater.apps.watching.place import Place, Watched
from headwater.core.instant import DAY
from headwater.log.protocol import EventLog
from headwater.monitoring.streams import StreamWindow
from headwater.training.history import streams_of

_LATE = 30 * DAY  # how late an event may be, where the project sets no bound


def stream_windows(
    place: Place, watched: Watched, log: EventLog, start: int, stop: int
) -> dict[str, StreamWindow]:
    """Each stream that a model reads, in a window.

    Args:
        place: of the project, whose ``lateness`` bounds how late an event may come.
        watched: the model version.
        log: the events.
        start: of the window, microseconds UTC.
        stop: the first instant after it.
    """
    late = place.project.lateness
    since = start - (_LATE if late is None else late)
    found = {}
    for stream in streams_of(watched.model):
        parts = list(log.scan([stream.name], since=since, until=stop, by_stream=True))
        time = np.concatenate([np.empty(0, np.int64), *(part.time for part in parts)])
        arrival = np.concatenate([np.empty(0, np.int64), *(part.arrival for part in parts)])
        found[stream.name] = StreamWindow.of(time, arrival, start, stop)
    return found
