"""What a client raises: the problem that the server told of, or that there was no answer."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from headwater.core.errors import HeadwaterError, Problem


class ApiError(HeadwaterError):
    """The server answered with a problem.

    Attributes:
        status: the HTTP status.
        reason: the problem's stable code.
        request_id: to find it in the server's log.
        retry_after: seconds after which it is worth to come again; None if the server did not say.
    """

    code = "api"

    def __init__(
        self,
        *problems: Problem,
        status: int = 0,
        reason: str = "",
        request_id: str = "",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(*problems)
        self.status = status
        self.reason = reason
        self.request_id = request_id
        self.retry_after = retry_after


class UnreachableError(HeadwaterError):
    """No answer came; what was asked for may have been done or not."""

    code = "unreachable"


def of_response(response: httpx.Response) -> ApiError:
    """The error that a response tells of; any response will do."""
    try:
        told: Any = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        told = None
    after = response.headers.get("retry-after", "")
    facts = told.get("problems", []) if isinstance(told, dict) else []
    code = str(told.get("code", "")) if isinstance(told, dict) else ""
    problems = [_problem(fact) for fact in facts if isinstance(fact, dict)]
    if not problems:
        problems = [Problem("the server answered with an error", got=f"HTTP {response.status_code}")]
    return ApiError(
        *problems,
        status=response.status_code,
        reason=code,
        request_id=response.headers.get("x-request-id", ""),
        retry_after=int(after) if after.isdecimal() else None,
    )


def of_transport(error: httpx.HTTPError, url: str) -> UnreachableError:
    """The error of a request that got no answer."""
    return UnreachableError.of(
        "no answer came from the server",
        got=type(error).__name__,
        where=url,
        do="see whether it runs, then send it again: events with ids count once",
    )


def _problem(fact: dict[str, Any]) -> Problem:
    known = {name: fact.get(name) for name in ("expected", "got", "where", "do")}
    return Problem(str(fact.get("what", "")), **known)
