"""What a channel is, and the one that is always there: the log of the process.

Read ``webhook`` and ``mail`` for the others; ``delivery`` calls them.
"""

from __future__ import annotations

import logging
from typing import Protocol

from headwater.apps.alerting.message import Message

LOG = logging.getLogger("headwater.alerts")


class ChannelError(Exception):
    """A channel could not tell a message.

    Args:
        fault: what was wrong, one line; without secrets, addresses and answers of the other side.
        again: whether trying again later may help.
    """

    def __init__(self, fault: str, *, again: bool = True) -> None:
        self.fault = fault
        self.again = again
        super().__init__(fault)


class Channel(Protocol):
    """Tells messages."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def send(self, message: Message, *, now: int) -> None:
        """Tell a message.

        Args:
            message: what.
            now: microseconds UTC.

        Raises:
            ChannelError: it could not be told.
        """
        ...


class LogChannel:
    """Tells messages in the log, as the logger ``headwater.alerts``."""

    name = "log"

    def send(self, message: Message, *, now: int) -> None:  # noqa: ARG002 - a channel's shape
        """Write a line, with the facts beside it."""
        alert = message.facts.get("alert") or {}
        quiet = message.facts["event"] in ("resolved", "test")
        level = logging.INFO if quiet else logging.ERROR
        if alert.get("severity") == "warning" and not quiet:
            level = logging.WARNING
        LOG.log(level, "%s", message.title, extra={"alert": message.facts})
