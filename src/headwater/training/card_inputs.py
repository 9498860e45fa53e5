"""The inputs of a model on its card: what was usual in training, and how much each weighs.

Of inputs that are made of personal fields no value is shown. Called by ``card``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from headwater.definitions.model import Model
from headwater.definitions.personal import personal_inputs
from headwater.models.artifact import Artifact
from headwater.models.reference import LEVELS, Reference
from headwater.models.scorer import scorer_for
from headwater.paper.bars import lying
from headwater.paper.document import Block, Section, Table, Words
from headwater.training.evaluate import importance

_SHOWN = 15
_QUICK = ("forest", "linear")


def inputs(model: Model, artifact: Artifact) -> Section:
    """What the model reads."""
    personal = personal_inputs(model)
    weights = _weights(artifact)
    rows = [_row(name, model, artifact, personal, weights) for name in artifact.inputs.names]
    columns = ("input", "type", "usual (median)", "5 % to 95 %", "missing", "weight")
    blocks: list[Block] = [
        Words(
            f"It reads {len(rows):,} inputs. Beside each: what was usual in the rows that it learned from."
        ),
        *_drawn(weights, artifact),
        Table.of("Inputs with their baselines", columns, rows, (2, 3, 4, 5)),
    ]
    if personal & set(artifact.inputs.names):
        blocks.append(Words("Values of inputs that are made of personal fields are not shown.", "quiet"))
    return Section("inputs", "Its inputs", tuple(blocks))


def _weights(artifact: Artifact) -> Mapping[str, float]:
    """Input to its mean absolute contribution over the background rows; empty where that takes long."""
    names, usual = artifact.inputs.names, artifact.background
    scorer = scorer_for(artifact.estimator, names, usual)
    return importance(scorer, usual) if scorer.kind in _QUICK and len(usual) else {}


def _drawn(weights: Mapping[str, float], artifact: Artifact) -> list[Block]:
    if not weights:
        return []
    top = list(weights.items())[:_SHOWN]
    return [
        lying(
            [name for name, _ in top],
            [size for _, size in top],
            alt="Bars: mean absolute contribution, " + ", ".join(f"{name} {size:.3g}" for name, size in top),
            caption="What moves the score most: the mean absolute contribution over "
            f"{len(artifact.background):,} rows of the training.",
        )
    ]


def _row(
    name: str, model: Model, artifact: Artifact, personal: set[str], weights: Mapping[str, float]
) -> tuple[object, ...]:
    usual = artifact.references.get(name)
    missing = None if usual is None or not usual.rows else f"{usual.nulls / usual.rows:.1%}"
    kind = str(model.columns[name]) if name in model.columns else ""
    middle, range_ = _values(name, usual, artifact, personal)
    return (name, kind.partition("(")[0], middle, range_, missing, weights.get(name))


def _values(
    name: str, usual: Reference | None, artifact: Artifact, personal: set[str]
) -> tuple[object, str | None]:
    if name in personal:
        return "(personal)", "(personal)"
    if name in artifact.inputs.categories:
        return None, f"{len(artifact.inputs.categories[name]):,} categories"
    if usual is None or np.isnan(usual.median):
        return None, None
    low, high = (usual.quantiles[LEVELS.index(level)] for level in (0.05, 0.95))
    return usual.median, f"{low:,.4g} to {high:,.4g}"
