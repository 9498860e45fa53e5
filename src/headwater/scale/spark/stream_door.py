"""What ``headwater stream --on spark`` needs of this folder, by name; it needs ``headwater[kafka]``, too."""

from __future__ import annotations

from headwater.scale.spark.progress import Look, looks
from headwater.scale.spark.publishing import Publishing
from headwater.scale.spark.session import session
from headwater.scale.spark.stream import CONNECTOR, SETTINGS, Pace, start

__all__ = ["CONNECTOR", "SETTINGS", "Look", "Pace", "Publishing", "looks", "session", "start"]
