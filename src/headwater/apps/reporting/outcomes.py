"""How good decisions were over time, with retrainings and promotions marked. Called by ``report``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headwater.apps.reporting.material import Material, day, missing
from headwater.apps.watching.outcomes import outcomes
from headwater.core.instant import DAY, WEEK
from headwater.paper.document import Block, Picture, Section, Table, Words, interval
from headwater.paper.lines import Line, Mark, Point, over_time
from headwater.retraining.run import AS_OF

ID, TITLE = "outcomes", "Outcomes"
_DRAWN = {"roc_auc": "ROC AUC", "brier": "Brier score"}
_ACTS = {"model.promote": "promoted", "model.rollback": "rolled back to"}
Period = Mapping[str, Any]


def section(material: Material) -> Section:
    """Measured where labels are mature, estimated where not."""
    found = outcomes(
        material.place,
        material.log,
        material.start,
        material.stop,
        now=material.now,
        model=material.model.name,
        every=min(WEEK, material.stop - material.start),
    ).to_json()
    periods = [one for one in found["periods"] if one["decided"]]
    if not periods:
        return missing(ID, TITLE, "nothing was decided in this stretch")
    marks = _marks(material)
    blocks: list[Block] = [Words(_said(found))]
    blocks += [picture for name in _DRAWN for picture in _drawn(name, periods, marks)]
    blocks.append(_table(periods))
    blocks += [Words(note, "quiet") for note in found["notes"]]
    return Section(ID, TITLE, tuple(blocks))


def _said(found: Mapping[str, Any]) -> str:
    periods = found["periods"]
    decided, mature = (sum(one[name] for one in periods) for name in ("decided", "matured"))
    return (
        f"Judged by version {found['version']}: of {decided:,} decisions {mature:,} have a mature label and "
        f"are measured. A label takes {found['wait'] / DAY:g} days to mature; what is newer is estimated "
        "from the scores."
    )


def _drawn(name: str, periods: list[Period], marks: list[Mark]) -> list[Picture]:
    title = _DRAWN[name]
    measured = tuple(_measured(one, name) for one in periods)
    # The estimate begins where the measured line ends, so that the eye can follow.
    expected = tuple(Point(_middle(one), _number(one["estimated"].get(name))) for one in periods)
    lines = [Line(f"{title}, measured", "one", measured), Line("estimated", "two", expected, expected=True)]
    known = [p for line in lines for p in line.points if not math.isnan(p.y)]
    if not known:
        return []
    labels = [(_middle(one), day(one["start"])[5:]) for one in periods]
    values = ", ".join(f"{p.y:.3f}" for p in measured if not math.isnan(p.y)) or "none yet"
    happened = "; ".join(mark.text for mark in marks)
    return [
        over_time(
            lines,
            labels,
            marks=marks,
            alt=f"Line: {title} by window, measured: {values}"
            + (f"; marked: {happened}" if happened else ""),
            caption=f"{title} by the window’s first day, with 95 % intervals where it is measured.",
        )
    ]


def _measured(one: Period, name: str) -> Point:
    figure = one["measured"].get(name) or [None, None, None]
    return Point(_middle(one), *map(_number, figure))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _middle(one: Period) -> float:
    return float(one["start"] + one["stop"]) / 2


def _table(periods: list[Period]) -> Table:
    rows = [
        (
            day(one["start"]),
            one["decided"],
            one["matured"],
            one["positives"],
            interval(one["measured"].get("roc_auc")),
            interval([one["estimated"].get("roc_auc"), None, None]),
            one["why_not"] or "",
        )
        for one in periods
    ]
    columns = ("from", "decided", "mature", "positive", "ROC AUC", "estimated", "not measured because")
    return Table.of("By window", columns, rows, (1, 2, 3, 4, 5))


def _marks(material: Material) -> list[Mark]:
    """What happened to the model in the stretch, in order."""
    marks = [
        Mark(float(as_of), f"v{one.number} retrained", "three")
        for one in material.versions
        if (as_of := int(one.tags.get(AS_OF, "-1"))) >= 0 and material.holds(as_of)
    ]
    if material.place.database is not None or material.place.folder.access.is_file():
        with material.place.records() as records, records.trail() as trail:
            acts = [entry.act for entry in trail.newest(1_000)]
        marks += [
            Mark(float(act.at), f"v{act.details.get('version', '?')} {_ACTS[act.action]}", "five")
            for act in acts
            if act.action in _ACTS and act.target == material.model.name and material.holds(act.at)
        ]
    return sorted(marks, key=lambda mark: (mark.x, mark.text))
