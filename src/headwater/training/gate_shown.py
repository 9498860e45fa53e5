"""How the report of a gate is shown: its checks as a table, its gains as a picture.

Reads the report as plain JSON values, as it is kept in MLflow. Called by ``card`` and ``apps.reporting``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from headwater.paper.bars import Span, spans
from headwater.paper.document import Cell, Picture, Table, Tone

_TONES: Mapping[str, Tone] = {"pass": "good", "fail": "alarm", "too few": "watch", "not looked at": "quiet"}
Report = Mapping[str, Any]


def checks(report: Report, families: Collection[str] = ()) -> Table | None:
    """Each check with its verdict, of all families if none is named; None where there is none."""
    chosen = [one for one in report["checks"] if not families or one["family"] in families]
    if not chosen:
        return None
    rows = [
        (Cell(one["verdict"], _TONES[one["verdict"]]), one["family"], one["name"], one["words"])
        for one in chosen
    ]
    return Table.of("What the gate looked at", ("verdict", "family", "check", "what was found"), rows)


def gains(report: Report) -> list[Picture]:
    """The gains of the candidate with their intervals, 0 being no difference; nothing without a champion."""
    rows = []
    for one in report["checks"]:
        value, low, high = one["numbers"].get("gain") or (None, None, None)
        if value is not None:
            rows.append(Span(_name(one), value, low, high, "alarm" if one["verdict"] == "fail" else "one"))
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
