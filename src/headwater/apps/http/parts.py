"""What a server does not do that has only a part of the work: it says who does, before anything is read.

==========  ==============================================================================================
role        what it answers
==========  ==============================================================================================
``all``     everything; what a server is by default
``ingest``  everything but new decisions, which are made from the states that it publishes
``decide``  decisions, features, models, policies, definitions, health and metrics
==========  ==============================================================================================

Put around the app by ``app.create_app``; what stands behind a role is opened by ``cli``.
"""

from __future__ import annotations

import re
from enum import StrEnum

from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.core.errors import MisdirectedError


class Part(StrEnum):
    """What a server does of the work."""

    ALL = "all"
    INGEST = "ingest"
    DECIDE = "decide"


_DECISIONS = re.compile(r"/v1/decisions/?")
_ELSEWHERE = re.compile(
    r"/v1/(events|scores|entities|late|dead-letters|backtests|jobs|shadow)(/.*)?"
    r"|/v1/models/[^/]+/(promote|rollback|canary|gate)|/v1/decisions/[^/]+/replay"
)


class Parts:
    """Answers 421 to what is another server's.

    Args:
        app: the rest.
        part: what this server does of the work.
    """

    def __init__(self, app: ASGIApp, part: Part) -> None:
        self._app = app
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and not answers(self._part, scope["method"], scope["path"]):
            wanted = Part.INGEST if self._part is Part.DECIDE else Part.DECIDE
            raise MisdirectedError.of(
                "another server answers this",
                expected=f"a server with the role {wanted}, or all",
                got=f"one with the role {self._part}",
                do=f"send it to the address of the servers with the role {wanted}",
            )
        await self._app(scope, receive, send)


def answers(part: Part, method: str, path: str) -> bool:
    """Whether a server with a part of the work answers a request itself.

    Example:
        >>> [answers(part, "POST", "/v1/decisions") for part in Part]
        [True, False, True]
    """
    if part is Part.DECIDE:
        return _ELSEWHERE.fullmatch(path) is None
    return part is Part.ALL or method != "POST" or _DECISIONS.fullmatch(path) is None
