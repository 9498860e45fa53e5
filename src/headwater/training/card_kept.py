"""The card of a version: put together from the registry, and kept beside the run that made the version.

Called by ``train``, ``retraining`` and ``headwater card``. In MLflow it is ``card/model-card.html`` and
``.md``, and its first lines are the version's description.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headwater.core.errors import ModelError
from headwater.definitions.compile import content_hash
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.models.artifact import Artifact
from headwater.models.registry import Registry, Version
from headwater.paper.document import Document
from headwater.paper.html import page
from headwater.paper.markdown import markdown
from headwater.training.card import Known, card, limits, purpose

PAGE, TEXT = "card/model-card.html", "card/model-card.md"
_GATED = "headwater.gate"


def card_of(registry: Registry, model: Model, policy: Policy | None, which: int | str) -> Document:
    """The card of a version, from what the registry holds.

    Raises:
        ModelError: there is no such version, it is damaged, of another definition, or its evaluation is gone.
    """
    return card(known_of(registry, model, policy, registry.version(model.name, which)))


def keep_card(
    registry: Registry,
    model: Model,
    policy: Policy | None,
    version: Version,
    *,
    now: int,
    artifact: Artifact | None = None,
) -> None:
    """Keep the card with the run that made a version, anew if there is one.

    Args:
        registry: where the version is.
        model: its definition.
        policy: what decides on its score.
        version: as registered.
        now: microseconds UTC.
        artifact: the version's, if it is at hand.

    Raises:
        ModelError: the registry cannot be read or written.
    """
    known = known_of(registry, model, policy, version, artifact)
    document = card(known)
    registry.keep(version, {PAGE: page(document), TEXT: markdown(document)}, {}, now=now)
    registry.describe(version, "\n\n".join([purpose(model), *limits(known)]))


def known_of(
    registry: Registry,
    model: Model,
    policy: Policy | None,
    version: Version,
    artifact: Artifact | None = None,
) -> Known:
    """Everything that a card is made of."""
    found = artifact or registry.load(model.name, version.number, definition_hash=content_hash(model))
    evaluation = _json(registry, version, "evaluation.json")
    return Known(model, policy, found, version, evaluation, gate_report(registry, version))


def gate_report(registry: Registry, version: Version) -> Mapping[str, Any] | None:
    """The newest report of a gate that is kept with a version, plain JSON values; None if there is none."""
    if _GATED not in version.tags:
        return None
    folder = registry.kept(version, "gate")
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return json.loads(files[-1].read_text(encoding="utf-8")) if files else None


def _json(registry: Registry, version: Version, path: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(registry.kept(version, path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError.of(
            "the evaluation of the version is not in the registry",
            expected=path,
            where=f"{version.model} version {version.number}, run {version.run}",
            do="train it again, or restore the registry from a copy",
        ) from None
    return found
