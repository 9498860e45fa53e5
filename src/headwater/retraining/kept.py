"""A gate's report read back from where it is kept, and only if it is the one that was written.

Called by the HTTP door; ``gate`` keeps the reports.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.core.errors import ModelError
from headwater.models.registry import Registry, Version
from headwater.retraining.gate import GATED, REPORT, place_of


@dataclass(frozen=True)
class KeptReport:
    """A report that is kept.

    Attributes:
        version: whose gate it was.
        digest: SHA-256 of its canonical JSON.
        form: the report, as ``GateReport.to_json`` gives it.
    """

    version: Version
    digest: str
    form: Mapping[str, Any]


def latest_report(registry: Registry, model: str, which: str | int | None = None) -> KeptReport | None:
    """The newest report of a model's gate, or of one version's; None if there is none.

    Args:
        registry: of the project.
        model: the model's name.
        which: a version's number or alias; any version if it is None.

    Raises:
        ModelError: there is no such version, or the report that is kept is not the one that was written.
    """
    found = registry.versions(model) if which is None else [registry.version(model, which)]
    gated = [version for version in found if REPORT in version.tags and GATED in version.tags]
    if not gated:
        return None
    version = max(gated, key=lambda one: (int(one.tags[GATED]), one.number))
    text = _text(registry, version)
    digest = hashlib.sha256(text.removesuffix("\n").encode()).hexdigest()
    if digest != version.tags[REPORT]:
        raise ModelError.of(
            "the gate's report is not the one that was written",
            expected=f"digest {version.tags[REPORT]}",
            got=f"digest {digest}",
            where=f"{model} version {version.number}",
            do="gate the version again: headwater gate",
        )
    return KeptReport(version, digest, json.loads(text))


def _text(registry: Registry, version: Version) -> str:
    path = registry.kept(version, f"{place_of(int(version.tags[GATED]))}.json")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError.of(
            "the gate's report cannot be read",
            got=type(error).__name__,
            where=str(path),
            do="gate the version again: headwater gate",
        ) from None
