"""Alerts as the command line shows them. Called by the commands of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headwater.apps.cli.screen import Screen
from headwater.core.instant import iso
from headwater.store.alerts import Alert


def plain(alert: Alert) -> dict[str, Any]:
    """An alert as plain JSON values."""
    signal = alert.signal
    return {
        "id": alert.id,
        "rule": signal.rule,
        "subject": signal.subject,
        "state": alert.state,
        "severity": signal.severity,
        "what": signal.what,
        "since": iso(signal.since),
        "how_bad": signal.how_bad,
        "do": signal.do,
        "opened_at": iso(alert.opened_at),
        "seen_at": iso(alert.seen_at),
        "previous": None if alert.previous is None else f"a{alert.previous}",
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_at": None if alert.acknowledged_at is None else iso(alert.acknowledged_at),
        "resolved_at": None if alert.resolved_at is None else iso(alert.resolved_at),
    }


def show(screen: Screen, alerts: Sequence[Alert]) -> None:
    """Alerts for people: what, since when, how bad, what to do."""
    for alert in alerts:
        signal = alert.signal
        style = {"critical": "bold red", "warning": "bold yellow"}[signal.severity]
        screen.say(f"{alert.id} {signal.severity}, {alert.state}: {signal.what}", style)
        screen.say(f"  since       {iso(signal.since)}")
        screen.say(f"  how bad     {signal.how_bad}")
        screen.say(f"  what to do  {signal.do}")
        if alert.acknowledged_by is not None:
            screen.say(f"  taken on    by {alert.acknowledged_by}")
        if alert.resolved_at is not None:
            screen.say(f"  resolved    {iso(alert.resolved_at)}")
        screen.say()
