"""A record whose value holds no event; becomes a dead letter. Raised by the payloads, met in ``reading``."""

from __future__ import annotations


class UnreadError(Exception):
    """Why: a reason code, and words without personal values."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
