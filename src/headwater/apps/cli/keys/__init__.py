"""``headwater keys``: create, list, rotate and revoke API keys. Each a module."""

from __future__ import annotations

from headwater.apps.cli.lazy import LazyGroup

_HERE = "headwater.apps.cli.keys"

COMMANDS = {
    "create": (f"{_HERE}.create", "Make an API key, and show its secret once."),
    "list": (f"{_HERE}.list_", "List the API keys, without their secrets."),
    "rotate": (f"{_HERE}.rotate", "Give an API key a new secret."),
    "revoke": (f"{_HERE}.revoke", "Take an API key back, at once and for good."),
}

command = LazyGroup("keys", "Make, list, rotate and revoke API keys.", COMMANDS)
