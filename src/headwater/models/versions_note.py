"""A file that says which versions a registry had, and of which state of which registry that was true.

A note decides nothing by itself: one that cannot be read, or is of something else, is no note; an artifact is
used only if it has the seal under which it was registered. Kept by ``models.noted`` and ``models.recalled``.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from headwater.models.version import Version

_FORMAT = 2


class VersionsNote:
    """The note of one registry. Whoever reads finds it whole, also while another process writes.

    Args:
        path: of the file; its folder is made with it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, of: str) -> dict[str, list[Version]]:
        """What was noted, by model, the newest version first; nothing if that was of another state.

        Args:
            of: which registry, and which state of it, the answer must be of.
        """
        try:
            told: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            if (told["format"], told["of"]) != (_FORMAT, of):
                return {}
            return {
                model: [Version(**form | {"aliases": tuple(form["aliases"])}) for form in forms]
                for model, forms in told["models"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def write(self, of: str, models: dict[str, list[Version]]) -> None:
        """Note this instead; where it cannot be written, what was noted before stays, and that is all."""
        told = {
            "format": _FORMAT,
            "of": of,
            "models": {model: [asdict(version) for version in found] for model, found in models.items()},
        }
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=self.path.parent, suffix=".new", delete=False
            ) as file:
                file.write(json.dumps(told, indent=1) + "\n")
            Path(file.name).replace(self.path)
