"""Versions of models in words and as JSON. Called by every command that shows one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.models.version import Version


def version_json(version: Version | None) -> dict[str, Any] | None:
    """A version as plain JSON values."""
    if version is None:
        return None
    return {
        "number": version.number,
        "aliases": list(version.aliases),
        "digest": version.digest,
        "definition_hash": version.definition_hash,
        "run": version.run,
    }


def version_text(version: Mapping[str, Any]) -> str:
    """A version for people: ``version 3 (champion)``."""
    aliases = ", ".join(version["aliases"])
    return f"version {version['number']}" + (f" ({aliases})" if aliases else "")
