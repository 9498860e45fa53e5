"""``headwater bench``: measure a service where it runs. Each command a module."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

_HERE = "headwater.apps.cli.bench"

COMMANDS = {
    "load": (f"{_HERE}.load", "Put a load on a running service, and measure it."),
}

command = LazyGroup("bench", "Measure a service where it runs.", COMMANDS)
