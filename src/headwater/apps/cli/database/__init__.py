"""``headwater database``: upgrade, status. Each a module; ``option`` is the option that names a database."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

_HERE = "headwater.apps.cli.database"

COMMANDS = {
    "upgrade": (f"{_HERE}.upgrade", "Make the tables, or bring them to this version."),
    "status": (f"{_HERE}.status", "Show of which version the tables are."),
}

command = LazyGroup(
    "database", "Make the tables of a database that servers share, and see how they stand.", COMMANDS
)
