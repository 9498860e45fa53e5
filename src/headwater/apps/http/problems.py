"""Errors as problem+json (RFC 9457): the one place where an error class becomes an HTTP status.

::

    {"type": "about:headwater/data", "title": "...", "status": 422, "code": "data", "detail": "...",
     "request_id": "...", "problems": [{"what": ..., "expected": ..., "got": ..., "where": ..., "do": ...}]}

``code`` is stable. What nobody foresaw is told by its type and a bug id, never by its text, which may quote
a value. Called by ``app`` and ``middleware``.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from starlette.responses import Response

from headwater.core.errors import (
    ConflictError,
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialMissingError,
    CredentialRevokedError,
    DataError,
    DefinitionError,
    DeliveryError,
    ForbiddenError,
    GateError,
    HeadwaterError,
    IdentityError,
    LogError,
    MisdirectedError,
    ModelError,
    OnlineError,
    Problem,
    RateError,
    ReplayError,
    StoreError,
    TrainingError,
    UnavailableError,
)
from headwater.serving.commit import ScoringError, StoppedError
from headwater.serving.served import UnknownError
from headwater.serving.waiting import ClosingError, OverloadedError

MEDIA_TYPE = "application/problem+json"


class MalformedError(HeadwaterError):
    """The request cannot be read as what it says it is."""

    code = "malformed"


class TooLargeError(HeadwaterError):
    """The request's body, or the number of its events, is over the limit."""

    code = "too-large"


class UnsupportedError(HeadwaterError):
    """The body's media type is none that is understood here."""

    code = "unsupported-media-type"


class NotFoundError(HeadwaterError):
    """Nothing is under this address."""

    code = "not-found"


class MethodError(HeadwaterError):
    """The address is there, but takes another method."""

    code = "method-not-allowed"


class NotReadyError(HeadwaterError):
    """The service is not ready."""

    code = "not-ready"


class BugError(HeadwaterError):
    """A failure that nobody foresaw."""

    code = "bug"


STATUS: Mapping[type[HeadwaterError], HTTPStatus] = {
    MalformedError: HTTPStatus.BAD_REQUEST,
    CredentialMissingError: HTTPStatus.UNAUTHORIZED,
    CredentialInvalidError: HTTPStatus.UNAUTHORIZED,
    CredentialExpiredError: HTTPStatus.UNAUTHORIZED,
    CredentialRevokedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    RateError: HTTPStatus.TOO_MANY_REQUESTS,
    IdentityError: HTTPStatus.SERVICE_UNAVAILABLE,
    NotFoundError: HTTPStatus.NOT_FOUND,
    UnknownError: HTTPStatus.NOT_FOUND,
    MethodError: HTTPStatus.METHOD_NOT_ALLOWED,
    MisdirectedError: HTTPStatus.MISDIRECTED_REQUEST,
    ConflictError: HTTPStatus.CONFLICT,
    ReplayError: HTTPStatus.CONFLICT,
    DeliveryError: HTTPStatus.SERVICE_UNAVAILABLE,
    GateError: HTTPStatus.CONFLICT,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    DataError: HTTPStatus.UNPROCESSABLE_ENTITY,
    DefinitionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TrainingError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
    ClosingError: HTTPStatus.SERVICE_UNAVAILABLE,
    StoppedError: HTTPStatus.SERVICE_UNAVAILABLE,
    NotReadyError: HTTPStatus.SERVICE_UNAVAILABLE,
    ScoringError: HTTPStatus.SERVICE_UNAVAILABLE,
    LogError: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    OnlineError: HTTPStatus.SERVICE_UNAVAILABLE,
}


_NONE: Mapping[str, str] = {}


def status_of(error: HeadwaterError) -> HTTPStatus:
    """The HTTP status of an error.

    Example:
        >>> status_of(DataError.of("the amount is no number")).value
        422
    """
    found = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def document(error: HeadwaterError, request_id: str) -> dict[str, Any]:
    """An error as a problem document."""
    status = status_of(error)
    first = error.problems[0] if error.problems else Problem(status.phrase)
    return {
        "type": f"about:headwater/{error.code}",
        "title": first.what,
        "status": int(status),
        "code": error.code,
        "detail": str(error),
        "request_id": request_id,
        "problems": [
            {name: fact for name, fact in asdict(one).items() if fact is not None} for one in error.problems
        ],
    }


def response(error: HeadwaterError, request_id: str, headers: Mapping[str, str] = _NONE) -> Response:
    """An error as an answer."""
    headers = dict(headers)
    if isinstance(error, OverloadedError | UnavailableError | OnlineError):
        headers["Retry-After"] = str(error.retry_after)
    return Response(
        msgspec.json.encode(document(error, request_id)),
        status_code=int(status_of(error)),
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def bug(error: BaseException) -> BugError:
    """What is told of a failure that nobody foresaw: its type and place, and an id to report it by."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.name}" for frame in frames]
    seal = hashlib.sha256("\n".join([type(error).__name__, *places]).encode()).hexdigest()[:12]
    last = frames[-1] if frames else None
    return BugError.of(
        "Headwater failed in a way that nobody foresaw; this is a bug",
        got=f"{type(error).__name__}, bug id {seal}",
        where=f"{Path(last.filename).name}:{last.lineno}" if last else None,
        do="report it with its id",
    )
