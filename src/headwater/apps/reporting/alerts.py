"""Alerts that are open, and those that came up in the stretch. Called by ``report``."""

from __future__ import annotations

from headwater.apps.reporting.material import Material, minute, missing
from headwater.paper.document import Block, Cell, Section, Table, Tone, Words
from headwater.store.alerts import Alert, AlertStore

ID, TITLE = "alerts", "Alerts"
_MOST = 50


def section(material: Material) -> Section:
    """What is not resolved first, then what was resolved in the stretch."""
    if not material.place.folder.alerts.is_file():
        return missing(ID, TITLE, "nobody has looked for alerts yet", do="run headwater alerts check")
    with AlertStore.open(material.place.folder.alerts) as store:
        found = store.page(limit=1_000)
    standing = [one for one in found if one.state != "resolved"]
    over = [one for one in found if one.resolved_at is not None and material.holds(one.resolved_at)]
    critical = any(one.signal.severity == "critical" for one in standing)
    tone: Tone = "alarm" if critical else "watch" if standing else "good"
    said = f"{len(standing):,} alerts are not resolved." if standing else "No alert is open."
    if len(standing) == 1:
        said = "One alert is not resolved."
    blocks: list[Block] = [Words(said, tone)]
    if standing:
        blocks.append(_table("Not resolved, the newest first", standing))
    if over:
        blocks.append(_table("Resolved in this stretch", over))
    return Section(ID, TITLE, tuple(blocks), tone=tone)


def _table(caption: str, alerts: list[Alert]) -> Table:
    columns = ("alert", "how grave", "since", "state", "what", "how bad", "what to do")
    return Table.of(caption, columns, [_row(one) for one in alerts[:_MOST]])


def _row(one: Alert) -> tuple[object, ...]:
    signal = one.signal
    severity = Cell(signal.severity, "alarm" if signal.severity == "critical" else "watch")
    return (one.id, severity, minute(signal.since), one.state, signal.what, signal.how_bad, signal.do)
