"""An alert in words and as JSON, the same for every channel. Called by the channels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from headwater.core.instant import iso
from headwater.store.alerts import Notice

_HEADS = {
    "opened": "",
    "reopened": "again: ",
    "worse": "worse: ",
    "still": "still: ",
    "resolved": "resolved: ",
    "test": "test: ",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel is given.

    Attributes:
        id: the same for the same message, however often it is sent.
        title: one line.
        text: what happened, since when, how bad, what to do; a few lines.
        facts: the same as plain JSON values.
    """

    id: str
    title: str
    text: str
    facts: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The facts as JSON, UTF-8."""
        return json.dumps(self.facts, sort_keys=True, ensure_ascii=False).encode()


def message_of(notice: Notice, project: str) -> Message:
    """A notice as a message.

    Args:
        notice: of the store.
        project: the project's name.
    """
    alert, signal = notice.alert, notice.alert.signal
    title = f"[{project}] {_HEADS[notice.event]}{signal.severity}: {signal.what}"
    lines = [
        signal.what,
        f"Since:      {iso(signal.since)}",
        f"How bad:    {signal.how_bad}",
        f"What to do: {signal.do}",
        f"Alert:      {alert.id}, rule {signal.rule}, about {signal.subject}, {alert.state}",
    ]
    if alert.resolved_at is not None:
        lines.append(f"Resolved:   {iso(alert.resolved_at)}")
    elif alert.state == "open":
        lines.append(f"To take it on: headwater alerts ack {alert.id}")
    facts = {
        "id": f"n{notice.number}",
        "event": notice.event,
        "at": iso(notice.made_at),
        "project": project,
        "alert": {
            "id": alert.id,
            "rule": signal.rule,
            "subject": signal.subject,
            "state": alert.state,
            "severity": signal.severity,
            "what": signal.what,
            "since": iso(signal.since),
            "how_bad": signal.how_bad,
            "do": signal.do,
            "previous": None if alert.previous is None else f"a{alert.previous}",
            "resolved_at": None if alert.resolved_at is None else iso(alert.resolved_at),
        },
    }
    return Message(f"n{notice.number}", title, "\n".join(lines), facts)


def trial_message(project: str, now: int) -> Message:
    """A message that says that the channel works."""
    text = f"This is a test of the alerts of {project}. Nothing is wrong, and nothing is to do."
    facts = {"id": f"test-{now}", "event": "test", "at": iso(now), "project": project, "alert": None}
    return Message(f"test-{now}", f"[{project}] test: the channel works", text, facts)
