"""``headwater alerts``: list, check, ack and test. Each a module."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

_HERE = "headwater.apps.cli.alerts"

COMMANDS = {
    "list": (f"{_HERE}.list_", "List alerts, the newest first."),
    "check": (f"{_HERE}.check", "Judge what was found, open and resolve alerts, and tell people."),
    "ack": (f"{_HERE}.ack", "Take an alert on: it is not told again until it gets worse."),
    "test": (f"{_HERE}.test", "Send a test message over every channel that is set."),
}

command = LazyGroup("alerts", "See, acknowledge, check and test alerts.", COMMANDS)
