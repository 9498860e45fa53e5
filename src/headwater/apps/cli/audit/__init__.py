"""``headwater audit``: verify and trail. Each a module."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

_HERE = "headwater.apps.cli.audit"

COMMANDS = {
    "verify": (f"{_HERE}.verify", "Prove that decisions, acts and keys are what was written."),
    "trail": (f"{_HERE}.trail", "List what was administered, by whom and when."),
}

command = LazyGroup("audit", "Prove the records of what was decided and administered.", COMMANDS)
