"""Champion against challenger, as the newest gate found it. Called by ``report``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.apps.reporting.material import Material, minute, missing
from headwater.paper.document import Block, Section, Tone, Words
from headwater.retraining.gate import GATED, VERDICT
from headwater.training.card_kept import gate_report
from headwater.training.gate_shown import checks, gains

ID, TITLE = "gate", "Champion and challenger"


def section(material: Material) -> Section:
    """The newest report of a gate, check by check."""
    gated = [one for one in material.versions if VERDICT in one.tags]
    newest = max(gated, key=lambda one: (int(one.tags.get(GATED, "0")), one.number), default=None)
    if newest is None:
        do = "train a candidate and gate it: headwater retrain; headwater gate"
        return missing(ID, TITLE, "no version was gated yet", do=do)
    report = gate_report(material.registry, newest)
    if report is None:
        return missing(ID, TITLE, f"the gate report of version {newest.number} is not in the registry")
    tone: Tone = "good" if report["verdict"] == "promote" else "watch"
    aliases = ", ".join(newest.aliases) or "neither champion nor challenger now"
    lines: list[Block] = [
        Words(_said(report, aliases), tone),
        Words(str(report["words"]).split("\n")[1]),
        *gains(report),
        *([table] if (table := checks(report)) is not None else []),
        *(Words(note, "quiet") for note in report["notes"]),
    ]
    return Section(ID, TITLE, tuple(lines), tone=tone)


def _said(report: Mapping[str, Any], aliases: str) -> str:
    against = report["champion"]
    champion = "with no champion yet" if against is None else f"against version {against}"
    held = sum(one["verdict"] in ("fail", "too few") for one in report["checks"])
    why = f" {held:,} of {len(report['checks']):,} checks hold it back." if held else ""
    return (
        f"Version {report['candidate']} ({aliases}), {champion}, as of {minute(report['as_of'])}: "
        f"{report['verdict']}.{why}"
    )
