"""``headwater lake``: export, follow, status and schema of the tables for analysts. Each a module."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

_HERE = "headwater.apps.cli.lake"

COMMANDS = {
    "export": (f"{_HERE}.export", "Bring the lake up to date, once."),
    "follow": (f"{_HERE}.follow", "Keep the lake up to date until Ctrl-C."),
    "status": (f"{_HERE}.status", "Show how far the lake is behind."),
    "schema": (f"{_HERE}.schema", "Print the reference of the lake's tables."),
}

command = LazyGroup("lake", "Export events and decisions as tables for analysts.", COMMANDS)
