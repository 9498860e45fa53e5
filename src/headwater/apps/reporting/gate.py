"""Champion against challenger, as the newest gate found it. Called by ``report`` and by the model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from headwater.apps.reporting.material import Material, minute, missing
from headwater.models.registry import Registry, Version
from headwater.paper.bars import Span, spans
from headwater.paper.document import Block, Cell, Picture, Section, Table, Tone, Words
from headwater.retraining.gate import GATED, VERDICT

ID, TITLE = "gate", "Champion and challenger"
TONES: dict[str, Tone] = {"pass": "good", "fail": "alarm", "too few": "watch", "not looked at": "quiet"}


def section(material: Material) -> Section:
    """The newest report of a gate, check by check."""
    gated = [one for one in material.versions if VERDICT in one.tags]
    newest = max(gated, key=lambda one: (int(one.tags.get(GATED, "0")), one.number), default=None)
    if newest is None:
        do = "train a candidate and gate it: headwater retrain; headwater gate"
        return missing(ID, TITLE, "no version was gated yet", do=do)
    report = kept(material.registry, newest)
    if report is None:
        return missing(ID, TITLE, f"the gate report of version {newest.number} is not in the registry")
    tone: Tone = "good" if report["verdict"] == "promote" else "watch"
    aliases = ", ".join(newest.aliases) or "neither champion nor challenger now"
    lines: list[Block] = [
        Words(_said(report, aliases), tone),
        Words(str(report["words"]).split("\n")[1]),
        *pictures(report),
        checks(report),
        *(Words(note, "quiet") for note in report["notes"]),
    ]
    return Section(ID, TITLE, tuple(lines), tone=tone)


def kept(registry: Registry, version: Version) -> Mapping[str, Any] | None:
    """The newest report that is kept with a version; None if there is none."""
    folder = registry.kept(version, "gate")
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    if not files:
        return None
    found: Mapping[str, Any] = json.loads(files[-1].read_text(encoding="utf-8"))
    return found


def checks(report: Mapping[str, Any]) -> Table:
    """Each check with its verdict."""
    rows = [
        (Cell(one["verdict"], TONES[one["verdict"]]), one["family"], one["name"], one["words"])
        for one in report["checks"]
    ]
    return Table.of("What the gate looked at", ("verdict", "family", "check", "what was found"), rows)


def pictures(report: Mapping[str, Any]) -> list[Picture]:
    """The gains of the candidate with their intervals, 0 being no difference; nothing without a champion."""
    rows = [
        Span(_name(one), gain[0], gain[1], gain[2], "alarm" if one["verdict"] == "fail" else "one")
        for one in report["checks"]
        if (gain := one["numbers"].get("gain")) and gain[0] is not None
    ]
    if not rows:
        return []
    told = ", ".join(f"{row.name} {row.value:+.4f}" for row in rows)
    return [
        spans(
            rows,
            lines=[(0.0, "no difference")],
            alt=f"Gains of the candidate over the champion: {told}",
            caption="Gain of the candidate over the champion with its interval; right of the line is better.",
        )
    ]


def _name(check: Mapping[str, Any]) -> str:
    return str(check["name"]) if check["family"] != "slices" else f"slice: {check['name']}"


def _said(report: Mapping[str, Any], aliases: str) -> str:
    against = report["champion"]
    champion = "with no champion yet" if against is None else f"against version {against}"
    held = sum(one["verdict"] in ("fail", "too few") for one in report["checks"])
    why = f" {held:,} of {len(report['checks']):,} checks hold it back." if held else ""
    return (
        f"Version {report['candidate']} ({aliases}), {champion}, as of {minute(report['as_of'])}: "
        f"{report['verdict']}.{why}"
    )
