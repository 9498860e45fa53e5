"""The test kit, for this project's tests and for anyone's own.

A clock that moves only when told to (``ManualClock``) and small builders of event frames (``at``,
``events``).
"""

from headwater.testing.clock import ManualClock
from headwater.testing.events import at, events

__all__ = ["ManualClock", "at", "events"]
