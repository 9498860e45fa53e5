"""Stability of scores and reasons: how many standing decisions would flip, and what people would be told.

The standing decisions are the newest observation of each entity, scored by what decides now and by what would
decide; no label is needed. A reason is the first text that ``serving.reasons`` gives, word for word what a
person is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.definitions.compile import content_hash
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.retraining.evidence import Evidence, Witness
from headwater.retraining.report import Check, Verdict
from headwater.retraining.rules import Rules
from headwater.serving.reasons import reasons
from headwater.serving.scoring import Scoring

Float64 = npt.NDArray[np.float64]

_EXPLAINED = 300
_EXPLAINED_SLOWLY = 40  # an estimator that must be asked again and again


def checks(evidence: Evidence, rules: Rules, *, better: bool) -> Iterator[Check]:
    """Flips and reasons, where there is a champion.

    Args:
        evidence: with standing decisions.
        rules: the bounds.
        better: whether the candidate is surely better on the outcomes.
    """
    if evidence.champion is None:
        return
    count = len(evidence.standing)
    if count < rules.least_standing:
        words = f"{count:,} standing decisions; {rules.least_standing:,} are needed."
        bounds = {"least": rules.least_standing}
        yield Check("stability", "decisions", "too few", words, {"standing": count}, bounds)
        return
    new, old = evidence.candidate.itself, evidence.champion.itself
    scores = new.scores(evidence.standing), old.scores(evidence.standing)
    yield _moved(*scores)
    if evidence.policy is None:
        yield Check("stability", "decisions", "not looked at", "No policy reads the model.")
        return
    bands = [[evidence.policy.band(score) for score in one.tolist()] for one in scores]
    yield _flips(bands[0], bands[1], rules.flips_if_better if better else rules.flips)
    best = next(iter(evidence.policy.bands))
    told = [i for i, pair in enumerate(zip(*bands, strict=True)) if set(pair) != {best}]
    yield _reasons(evidence, evidence.policy, (new, old), told, rules, better)


def _moved(new: Float64, old: Float64) -> Check:
    """How far scores move: told, never held against the candidate."""
    change = np.abs(new - old)
    typical, far = float(np.median(change)), float(np.quantile(change, 0.95))
    words = f"Half of {len(new):,} standing scores move by at most {typical:.4f}, 95 % by at most {far:.4f}."
    return Check("stability", "scores", "pass", words, {"median": typical, "p95": far, "standing": len(new)})


def _flips(new: list[str], old: list[str], most: float) -> Check:
    moves: dict[str, int] = {}
    for one, other in zip(old, new, strict=True):
        if one != other:
            moves[f"{one} to {other}"] = moves.get(f"{one} to {other}", 0) + 1
    count = sum(moves.values())
    share = count / len(new)
    ranked = sorted(moves.items(), key=lambda move: (-move[1], move[0]))
    told = ", ".join(f"{number:,} {move}" for move, number in ranked)
    words = f"{count:,} of {len(new):,} standing decisions flip ({share:.1%}" + (
        f": {told})." if told else ")."
    )
    verdict: Verdict = "pass" if share <= most else "fail"
    numbers = {"share": share, "flips": count, "standing": len(new), "moves": dict(ranked)}
    return Check("stability", "decisions", verdict, words, numbers, {"most": most})


def _reasons(
    evidence: Evidence,
    policy: Policy,
    sides: tuple[Witness, Witness],
    places: list[int],
    rules: Rules,
    better: bool,
) -> Check:
    """Of decisions outside the best band, since nobody is told why a decision is the best one."""
    slow = {one.scorer.kind for one in sides} - {"forest", "linear"}
    most = _EXPLAINED_SLOWLY if slow else _EXPLAINED
    rng = np.random.default_rng(rules.seed)
    frame = evidence.standing[np.sort(rng.permutation(places)[:most]).astype(np.int64)]
    told = [_first(evidence.model, policy, one, frame) for one in sides]
    pairs = [pair for pair in zip(*told, strict=True) if pair != (None, None)]
    changed = sum(one != other for one, other in pairs)
    share = changed / len(pairs) if pairs else 0.0
    words = (
        f"The first reason changes for {changed:,} of {len(pairs):,} decisions that have one ({share:.1%})."
    )
    bound = rules.reasons_if_better if better else rules.reasons
    verdict: Verdict = "pass" if share <= bound else "fail"
    numbers = {"share": share, "changed": changed, "with_reasons": len(pairs)}
    return Check("stability", "reasons", verdict, words, numbers, {"most": bound})


def _first(model: Model, policy: Policy, one: Witness, frame: pl.DataFrame) -> list[str | None]:
    """The first reason's text of each row; None where there is none."""
    scoring = _scoring(model, one)
    X = one.artifact.inputs.matrix(frame)
    found = (reasons(policy, scoring, x) for x in X)
    return [texts[0].text if texts else None for texts in found]


def _scoring(model: Model, one: Witness) -> Scoring:
    """Ready to explain; a champion of the same features may have had another estimator declared."""
    artifact = one.artifact
    if artifact.definition_hash != content_hash(model):
        artifact = replace(artifact, definition_hash=content_hash(model))
    return Scoring(model, artifact, "", one.scorer)
