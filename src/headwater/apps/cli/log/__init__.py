"""``headwater log``: status, tail, verify, compact and dead-letters of the event log. Each a module."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

_HERE = "headwater.apps.cli.log"

COMMANDS = {
    "status": (f"{_HERE}.status", "Show what the log holds."),
    "tail": (f"{_HERE}.tail", "Show the newest events."),
    "verify": (f"{_HERE}.verify", "Check every byte, offset and link of the log."),
    "compact": (f"{_HERE}.compact", "Merge small pieces of the log."),
    "dead-letters": (f"{_HERE}.dead_letters", "Show or remove the events that were refused."),
}

command = LazyGroup("log", "Look at the event log and look after it.", COMMANDS)
