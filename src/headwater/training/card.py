"""The model card of a version: what it is for, what it learned from, what it is worth, and where it ends.

Made of what is known of a version and nothing else, after Mitchell et al., "Model Cards for Model Reporting"
(2019). The same version with the same gate gives the same card. Called by ``card_kept``; the sections that
describe the inputs are in ``card_inputs``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.core.instant import iso, span_text
from headwater.definitions.label import Happens
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.policy import Policy
from headwater.models.artifact import Artifact
from headwater.models.registry import Version
from headwater.paper.document import Block, Document, Section, Table, Tile, Tiles, Words, interval
from headwater.paper.lines import Point, calibration
from headwater.training import gate_shown
from headwater.training.card_inputs import inputs

_FEW = 100  # positives, below which figures are said to rest on little
_FIGURES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "ks": "KS",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}


@dataclass(frozen=True)
class Known:
    """What is known of a version.

    Attributes:
        model: its definition.
        policy: what decides on its score.
        artifact: what was trained.
        version: as registered.
        evaluation: of the test rows, as ``Evaluation.to_json`` gives it.
        gate: the newest report of a gate, plain JSON values; None if there is none.
    """

    model: Model
    policy: Policy | None
    artifact: Artifact
    version: Version
    evaluation: Mapping[str, Any]
    gate: Mapping[str, Any] | None = None


def card(known: Known) -> Document:
    """The card."""
    artifact, version = known.artifact, known.version
    sections = (
        Section("purpose", "What it is for", tuple(_purpose(known))),
        Section("data", "What it learned from", tuple(_data(artifact))),
        Section("figures", "What it is worth", tuple(_figures(known.evaluation))),
        _calibration(known.evaluation),
        _of_gate(
            known, "slices", "Slices", "nothing was judged by slices: a gate against a champion does that"
        ),
        _fairness(known),
        inputs(known.model, artifact),
        _gate(known),
        Section("limits", "Its limits", tuple(Words(text) for text in limits(known))),
        Section("lineage", "Lineage", (_lineage(artifact, version),)),
    )
    return Document(
        title=f"Model card: {artifact.model}",
        subtitle=f"version {version.number}, {type(artifact.estimator).__name__}",
        facts=(("artifact", version.digest), ("definition", version.definition_hash)),
        sections=sections,
        closing="Made by Headwater from what the registry holds. Times are UTC.",
    )


def purpose(model: Model) -> str:
    """What the model foretells, of whom and when, one sentence."""
    label = model.label
    if isinstance(label, Happens):
        which = "" if label.where is None else f" with {label.where}"
        what = f"an event of “{label.stream.name}”{which} happens within {span_text(label.within)}"
    else:
        what = f"“{label.column}” comes true, as is known {_after(label.known_after)} the event"
    when = (
        f"each event of “{model.observe.stream.name}”"
        if isinstance(model.observe, Each)
        else f"each “{model.entity}” every {span_text(model.observe.span)}"
    )
    return f"Gives the probability that {what}. Learned on {when}."


def limits(known: Known) -> Iterator[str]:
    """What whoever uses the model should know, a sentence each."""
    artifact, found = known.artifact, known.evaluation
    manifest, baseline = artifact.manifest, artifact.baseline
    if baseline is not None:
        yield (
            f"It knows the time from {_day(baseline.learned[0])} to {_day(baseline.learned[1])}; what has "
            "changed since then it has not seen. Drift is watched by headwater drift."
        )
    wait = manifest.get("horizon", 0) + manifest.get("delay", 0)
    if wait:
        yield f"Whether it was right is known after {span_text(wait)}; until then that is estimated."
    if found["positives"] < _FEW:
        yield f"Its figures rest on {found['positives']:,} positives alone: see how wide their intervals are."
    gaps = [name for name, one in artifact.references.items() if one.rows and one.nulls / one.rows > 0.5]
    if gaps:
        yield f"In more than half of the training rows these were missing: {', '.join(gaps)}."
    missing = manifest.get("unlabelled", 0)
    if missing:
        yield f"{missing:,} observations had no outcome and were left out: it says nothing of such."
    if known.model.protected_inputs:
        yield f"It reads protected attributes: {', '.join(known.model.protected_inputs)}."
    yield "It says what is likely, not why: reasons name the inputs that moved a score, not causes."


def _purpose(known: Known) -> Iterator[Block]:
    yield Words(purpose(known.model))
    if known.policy is None:
        yield Words("No policy decides on its score.")
        return
    rows = [(name, f"from {lowest:g}") for name, lowest in known.policy.bands.items()]
    yield Table.of(f"The policy “{known.policy.name}” decides", ("band", "score"), rows)


def _data(artifact: Artifact) -> Iterator[Block]:
    manifest, baseline = artifact.manifest, artifact.baseline
    rows, positives = manifest.get("rows", 0), manifest.get("positives", 0)
    tiles = [
        Tile(
            "Labelled rows",
            f"{rows:,}",
            f"{positives:,} positive" + (f", {positives / rows:.2%}" if rows else ""),
        ),
        Tile("Not mature", f"{manifest.get('unmatured', 0):,}", "left out"),
    ]
    if baseline is not None:
        start, end = map(_day, baseline.learned)
        tiles.insert(0, Tile("Learned from", start, f"to {end}"))
    yield Tiles(tuple(tiles))
    streams = [
        (name, one["events"], one["first"], one["last"], _moment(one["newest_arrival"]))
        for name, one in sorted(manifest.get("sources", {}).items())
    ]
    columns = ("stream", "events", "first offset", "last offset", "newest arrival")
    yield Table.of("The range of the log that was read", columns, streams, (1, 2, 3))
    if "mature_until" in manifest:
        yield Words(
            f"Labels were known by {_moment(manifest['known_by'])}, so observations count until "
            f"{_moment(manifest['mature_until'])}. Manifest {manifest.get('digest', '')[:16]}."
        )


def _figures(found: Mapping[str, Any]) -> Iterator[Block]:
    yield Words(
        f"On {found['rows']:,} rows of {found['entities']:,} entities that it had not seen, "
        f"{found['positives']:,} of "
        "them positive; intervals are 95 %, over whole entities."
    )
    rows = [(title, *_parts(found["figures"].get(name))) for name, title in _FIGURES.items()]
    yield Table.of("Figures on the test rows", ("figure", "value", "from", "to"), rows, (1, 2, 3))
    if found["bands"]:
        bands = [
            (
                one["name"],
                one["lowest"],
                one["rows"],
                one["positives"],
                interval(one["share"]),
                interval(one["rate"]),
            )
            for one in found["bands"]
        ]
        columns = ("band", "from score", "rows", "positives", "share", "rate")
        yield Table.of("What each band of the policy held", columns, bands, (1, 2, 3, 4, 5))


def _calibration(found: Mapping[str, Any]) -> Section:
    id, title = "calibration", "Calibration"
    steps = [one for one in found["calibration"] if one["observed"][0] is not None]
    if not steps:
        return Section(id, title, missing="There are too few rows for a curve.")
    points = [Point(one["predicted"], *map(_number, one["observed"])) for one in steps]
    told = ", ".join(f"{p.x:.3f}: {p.y:.3f}" for p in points)
    picture = calibration(
        points,
        alt=f"Curve: observed rate by foretold probability; {told}",
        caption="Observed rate by foretold probability, in bins of equal size; dashed: both the same.",
    )
    error = interval(found["figures"].get("calibration_error"), 4)
    return Section(id, title, (picture, Words(f"They lie {error} apart on average.")))


def _of_gate(known: Known, family: str, title: str, why: str) -> Section:
    table = None if known.gate is None else gate_shown.checks(known.gate, (family,))
    if table is None:
        return Section(family, title, missing=f"{why[:1].upper()}{why[1:]}.")
    return Section(family, title, (table,))


def _fairness(known: Known) -> Section:
    protected = known.model.protected
    declared = (
        f"Declared as protected: {', '.join(protected)}."
        if protected
        else "No attribute is declared protected."
    )
    section = _of_gate(known, "fairness", "Fairness", "it was not gated, so fairness was not looked at")
    return Section(section.id, section.title, (Words(declared), *section.blocks), section.missing)


def _gate(known: Known) -> Section:
    if known.gate is None:
        return Section("gate", "The gate", missing="It was not gated: headwater gate.")
    lines = str(known.gate["words"]).split("\n")
    tone = "good" if known.gate["verdict"] == "promote" else "watch"
    table = gate_shown.checks(known.gate)
    blocks: list[Block] = [Words(lines[0], "good" if tone == "good" else "watch"), Words(lines[1])]
    blocks += [*gate_shown.gains(known.gate), *([table] if table is not None else [])]
    return Section("gate", "The gate", tuple(blocks), tone="good" if tone == "good" else "watch")


def _lineage(artifact: Artifact, version: Version) -> Table:
    rows = [
        ("run in MLflow", version.run),
        ("artifact", version.digest),
        ("definition", version.definition_hash),
        ("manifest of its rows", artifact.manifest.get("digest", "")),
        ("libraries", ", ".join(f"{name} {number}" for name, number in sorted(artifact.versions.items()))),
    ]
    rows += [(f"rows: {name}", seal) for name, seal in sorted(artifact.manifest.get("checksums", {}).items())]
    told = {"headwater.why": "why it was trained again", "headwater.retraining": "retraining"}
    rows += [(title, version.tags[tag]) for tag, title in told.items() if tag in version.tags]
    return Table.of("Where it comes from; hashes are SHA-256", ("what", "which"), rows)


def _parts(figure: list[float | None] | None) -> tuple[str | None, ...]:
    return tuple(None if one is None else f"{one:.4f}" for one in figure or (None, None, None))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _day(time: int) -> str:
    return iso(time)[:10]


def _moment(time: int | None) -> str | None:
    return None if time is None else iso(time)[:19].replace("T", " ")


def _after(span: int) -> str:
    return f"{span_text(span)} after" if span else "with"
