"""How decisions fell on the groups of protected attributes. Called by ``report``.

Shows what watching kept; for a declared attribute without a kept report the stretch is looked at now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.apps.reporting.material import TONES, Material, day, missing
from headwater.apps.watching.fairness import KIND, fairness
from headwater.core.errors import HeadwaterError
from headwater.monitoring.fairness import FOUR_FIFTHS
from headwater.monitoring.verdict import LEVELS
from headwater.paper.bars import Span, spans
from headwater.paper.document import Block, Cell, Section, Table, Words, interval
from headwater.store.reports import ReportStore

ID, TITLE = "fairness", "Fairness"
Body = Mapping[str, Any]


def section(material: Material) -> Section:
    """Each attribute: a picture of selection rates, and its figures by group."""
    found = {body["attribute"]: body for body in _kept(material)}
    failed = []
    for name in material.model.protected:
        if name not in found:
            try:
                found[name] = _looked_at(material, name)
            except HeadwaterError as error:
                failed.append(f"{name}: {error.problems[0].what}")
    if not found:
        do = "declare hw.Model(protected=[...]), or look once: headwater fairness --by COLUMN"
        why = "; ".join(failed) if failed else None
        return missing(ID, TITLE, "no protected attribute was looked at", why, do)
    blocks = [block for body in found.values() for block in _blocks(body)]
    blocks += [Words(f"Not looked at: {text}.", "quiet") for text in failed]
    worst = max((body["level"] for body in found.values()), key=LEVELS.index)
    return Section(ID, TITLE, tuple(blocks), tone=TONES[worst])


def _kept(material: Material) -> list[Body]:
    if not material.place.folder.reports.is_file():
        return []
    found = []
    with ReportStore.open(material.place.folder.reports) as reports:
        for subject in reports.subjects(KIND):
            if subject.startswith(f"{material.model.name} by "):
                inside = [
                    w for w in reports.windows(KIND, subject) if material.start < w.stop <= material.stop
                ]
                found += [inside[0].body] if inside else []
    return found


def _looked_at(material: Material, name: str) -> Body:
    place, log = material.place, material.log
    return fairness(
        place, log, material.start, material.stop, by=name, now=material.now, model=material.model.name
    ).to_json()


def _blocks(body: Body) -> list[Block]:
    favourable = ", ".join(body["favourable"])
    span = f"{day(body['start'])} to {day(body['stop'])}"
    said = " ".join([f"By {body['attribute']}, {span}: {body['level']}.", *body["words"]])
    blocks: list[Block] = [Words(said, TONES[body["level"]])]
    rows = [_span(group) for group in body["groups"] if group["selection"][0] is not None]
    if rows:
        told = ", ".join(f"{row.name} {row.value:.0%}" for row in rows)
        grey = "; grey: too small to be compared" if any(row.colour == "dim" for row in rows) else ""
        caption = (
            f"Share of each group that got the favourable decision ({favourable}), with its interval{grey}."
        )
        blocks.append(
            spans(
                rows,
                alt=f"Share that got “{favourable}” by {body['attribute']}: {told}",
                caption=caption,
                lines=_bound(body),
                unit=_percent,
            )
        )
    blocks.append(_table(body))
    return blocks + [Words(note, "quiet") for note in body["notes"]]


def _span(group: Body) -> Span:
    value, low, high = group["selection"]
    return Span(str(group["name"]), value, low, high, "dim" if group["too_few"] else "one")


def _bound(body: Body) -> tuple[tuple[float, str], ...]:
    """Four fifths of the most selected group that takes part."""
    rates = [group["selection"][0] for group in body["groups"] if not group["too_few"]]
    return ((FOUR_FIFTHS * max(rates), "four fifths of the highest"),) if len(rates) > 1 else ()


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _table(body: Body) -> Table:
    rows = [
        (
            Cell(str(group["name"]), "quiet" if group["too_few"] else "plain"),
            group["rows"],
            _shares(group["selection"]),
            interval(group["impact"], 2),
            _shares(group["opportunity"]),
            _shares(group["gap"], sign="+"),
        )
        for group in body["groups"]
    ]
    columns = (
        "group",
        "decisions",
        "favourable,\N{NO-BREAK SPACE}%",
        "impact ratio",
        "equal opportunity,\N{NO-BREAK SPACE}%",
        "calibration gap,\N{NO-BREAK SPACE}%",
    )
    return Table.of(f"By {body['attribute']}", columns, rows, (1, 2, 3, 4, 5))


def _shares(figure: Sequence[float | None], sign: str = "") -> str:
    """Shares with their interval, in percent."""
    return interval([None if one is None else one * 100 for one in figure], 1, sign)
