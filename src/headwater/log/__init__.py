"""The event log: the truth that everything else is computed from.

``protocol`` says what a log is; ``embedded`` is the one that needs nothing but a file; ``ingest`` takes raw
frames through the door into a log. Called by training, serving and apps. Start with ``protocol``.
"""

from headwater.log.embedded import EmbeddedLog, StreamStatus
from headwater.log.protocol import Append, DeadLetter, EventLog, Outcome, Receipt, Refusal

__all__ = [
    "EventLog",
    "EmbeddedLog",
    "Append",
    "Receipt",
    "Refusal",
    "Outcome",
    "DeadLetter",
    "StreamStatus",
]
