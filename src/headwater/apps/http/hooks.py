"""What the service tells, as log lines and metrics. Made by ``server``'s callers; see ``serving.service``."""

from __future__ import annotations

import logging

from headwater.serving.service import Hooks

LOG = logging.getLogger("headwater.service")


class LoggingHooks(Hooks):
    """Writes what went wrong into the log."""

    def on_fault(self, where: str, error: BaseException) -> None:
        """By its type and place, never by its text."""
        LOG.error("fault", extra={"where": where}, exc_info=error)
