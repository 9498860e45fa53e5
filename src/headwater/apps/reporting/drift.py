"""Drift: a heat map of features by windows, and what moved the score. Called by ``report``.

Shows the windows that watching kept; where it kept none, the weeks of the stretch are looked at now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.apps.reporting.material import TONES, Material, day, missing
from headwater.apps.watching.drift import KIND, drift
from headwater.core.errors import HeadwaterError
from headwater.core.instant import DAY, WEEK
from headwater.monitoring.verdict import LEVELS
from headwater.paper.document import Block, Cell, Section, Table, Words
from headwater.paper.heat import Heat, heat_map
from headwater.store.reports import ReportStore

ID, TITLE = "drift", "Drift"
_MOST_FEATURES, _MOST_WINDOWS = 24, 26
_STEPS = (0.02, 0.05, 0.1, 0.2, 0.4)  # PSI
_NAMES = ("PSI under 0.02", "0.05", "0.1", "0.2", "0.4", "over")
Body = Mapping[str, Any]


def section(material: Material) -> Section:
    """The heat map and the findings of the newest window."""
    kept = _kept(material)
    found, why = (kept, None) if kept else _looked_at(material)
    if not found:
        return missing(ID, TITLE, "no window could be judged", why)
    newest = found[-1]
    blocks: list[Block] = [
        Words(_said(newest), TONES[newest["level"]]),
        _heat(found),
        *_findings(found),
    ]
    if newest["score_drift"] is not None:
        blocks.append(Words(newest["score_drift"]["words"]))
    blocks += [Words(one, "quiet") for one in newest.get("unjudged", [])]
    origin = "kept by the watch" if kept else "looked at for this report, week by week"
    blocks.append(Words(f"{len(found):,} windows, {origin}.", "quiet"))
    return Section(ID, TITLE, tuple(blocks), tone=TONES[newest["level"]])


def _kept(material: Material) -> list[Body]:
    if not material.place.folder.reports.is_file():
        return []
    with ReportStore.open(material.place.folder.reports) as reports:
        windows = reports.windows(KIND, material.model.name, limit=1_000)
    inside = [w.body for w in windows if material.start < w.stop <= material.stop]
    return inside[:_MOST_WINDOWS][::-1]


def _looked_at(material: Material) -> tuple[list[Body], str | None]:
    """The newest whole weeks of the stretch, and why the last one without a verdict has none."""
    found: list[Body] = []
    why = None
    span = min(WEEK, material.stop - material.start)
    stop = material.stop
    while stop - span >= material.start and len(found) < _MOST_WINDOWS:
        try:
            one = drift(
                material.place,
                material.log,
                stop - span,
                stop,
                model=material.model.name,
                every=max(span, DAY),
            )
            found.append(one.to_json())
        except HeadwaterError as error:
            why = why or error.problems[0].what
        stop -= span
    return found[::-1], why


def _said(newest: Body) -> str:
    span = f"{day(newest['start'])} to {day(newest['stop'])}"
    loud = sum(one["level"] in ("alarm", "watch") for one in newest["features"])
    few = sum(one["level"] == "too few" for one in newest["features"])
    unknown = f", {few:,} have too few rows for a verdict" if few else ""
    return (
        f"The newest window, {span}: {newest['level']}. {loud:,} of {len(newest['features']):,} features "
        f"stand out{unknown}, in {newest['rows']:,} rows of {newest['entities']:,} entities."
    )


def _heat(found: Sequence[Body]) -> Block:
    names = _loudest(found)
    columns = [day(one["start"])[5:] for one in found]
    by_window = [{f["name"]: f for f in _rows(one)} for one in found]
    cells = [[_cell(window.get(name)) for window in by_window] for name in names]
    total = len(found[-1]["features"])
    more = f" The {len(names) - 1:,} loudest of {total:,} features." if total > len(names) else ""
    alarms = sum(cell.alarm for row in cells for cell in row)
    unjudged = any(not cell.judged and cell.value is not None for row in cells for cell in row)
    bracketed = " In brackets: too few rows, beside how the weeks of training differ, for a verdict."
    bracketed = bracketed if unjudged else ""
    return heat_map(
        names,
        columns,
        cells,
        _NAMES,
        alt=f"Heat map: PSI of {len(names):,} features in {len(found):,} windows, {alarms:,} alarms",
        caption="How far each feature lay from training (PSI), by the window’s first day; “!” is an alarm,"
        f" “·” is not known.{bracketed}{more}",
    )


def _rows(one: Body) -> list[Body]:
    return [*one["features"], *([] if one["score"] is None else [one["score"]])]


def _loudest(found: Sequence[Body]) -> list[str]:
    """The score, then the features by their gravest level and their largest PSI."""
    gravest: dict[str, tuple[int, float]] = {}
    for one in found:
        for feature in one["features"]:
            rank = (LEVELS.index(feature["level"]), feature["psi"] or 0.0)
            gravest[feature["name"]] = max(rank, gravest.get(feature["name"], (0, 0.0)))
    ordered = sorted(gravest, key=lambda name: (-gravest[name][0], -gravest[name][1], name))
    return [*(["score"] if any(one["score"] for one in found) else []), *ordered[:_MOST_FEATURES]]


def _cell(feature: Body | None) -> Heat:
    if feature is None or feature["psi"] is None:
        return Heat(None)
    psi = feature["psi"]
    judged = any(one["measure"] in ("psi", "ks") for one in feature["findings"])
    return Heat(psi, sum(psi >= step for step in _STEPS), feature["level"] == "alarm", judged)


def _findings(found: Sequence[Body]) -> list[Block]:
    rows = [
        (
            day(one["start"]),
            Cell(finding["level"], TONES[finding["level"]]),
            finding["subject"],
            finding["words"].replace(" -> ", " → "),  # which no line is broken in
        )
        for one in reversed(found)
        for finding in one["findings"]
        if finding["level"] in ("alarm", "watch")
    ]
    if not rows:
        return []
    caption = "What stood out, the newest window first" + (" (the first 12)" if len(rows) > 12 else "")
    return [Table.of(caption, ("window from", "verdict", "what", "found"), rows[:12])]
