"""``POST /v1/events``: events in, one or thousands, each answered by itself."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams
from starlette.types import Scope

from headwater.apps.http import arrow, body
from headwater.apps.http.answers import answer, of_events
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import EventsAnswer, EventsRequest
from headwater.apps.http.problems import MalformedError, TooLargeError, UnsupportedError
from headwater.apps.http.security import mask_for
from headwater.apps.http.site import Begun, Bounds, Site, site_of
from headwater.core.errors import DataError
from headwater.serving.group import Taken

router = APIRouter(tags=["events"])
_FORMS = {
    body.NDJSON: "One event a line; ?stream= names the stream.",
    body.ARROW: "An Arrow IPC stream of events, its buffers not compressed; ?stream= names the stream.",
}
_CODES = ("malformed", "unknown", "too-large", "unsupported-media-type", "data")
_QUERY = {
    "refresh": ("boolean", "Wait for the fresh scores and answer with them."),
    "stream": ("string", "The stream, where the body does not name it (NDJSON, Arrow)."),
}
_DOCUMENTED = documented(EventsAnswer, *_CODES, request=EventsRequest, also=_FORMS, query=_QUERY)
_PARTS = frozenset(EventsRequest.model_fields)
_USUAL = {b"": False, b"refresh=true": True}
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@router.post("/v1/events", summary="Take events in", **_DOCUMENTED)
async def post_events(request: Request) -> Response:
    """Acknowledged means on disk. Each event is answered: accepted, duplicate or refused with its reason;
    refused ones are kept as dead letters. The same id with the same content changes nothing, so a request
    may be sent again after a failure."""  # noqa: D205, D209 - shown as it is
    site = site_of(request)
    stream, refresh = _query(request.scope)
    came = await body.read(request, site.bounds.body)
    kind = body.media_type(request)
    if kind == body.JSON:
        future, told = begin(site, request.scope, came)
        return answer(told(await site.bell.wait(future)))
    if kind == body.ARROW:
        name, taken = await _arrow(site, came, _named(stream), refresh)
    elif kind == body.NDJSON:
        name, taken = await _ndjson(site, came, _named(stream), refresh)
    else:
        raise UnsupportedError.of(
            "events do not come in this form",
            expected=f"{body.JSON}, {body.NDJSON} or {body.ARROW}",
            got=kind[:80],
            do="set Content-Type",
        )
    return answer(_told(site, request.scope, name, taken))


def begin(site: Site, scope: Scope, came: bytes) -> Begun[Taken]:
    """Take in the events of a request whose body is JSON."""
    stream, refresh = _query(scope)
    name, events = _asked(body.parsed(came))
    if stream is not None and stream != name:
        raise MalformedError.of(
            "the address and the body name two streams",
            expected=name,
            got=repr(stream[:60]),
            do="name one",
        )
    future = _rows(site, name, events, len(came), refresh)
    return future, lambda taken: _told(site, scope, name, taken)


def _told(site: Site, scope: Scope, name: str, taken: Taken) -> dict[str, Any]:
    mask = None if taken.refreshes is None else mask_for(scope, site.mask)
    return of_events(name, taken, site.service.serving, mask)


def _query(scope: Scope) -> tuple[str | None, bool]:
    """The address's ``stream`` and ``refresh``: read by hand, since every event comes by here."""
    text = scope["query_string"]
    if text in _USUAL:
        return None, _USUAL[text]
    query = QueryParams(text)
    refresh = query.get("refresh", "false").lower()
    if refresh not in _FLAGS:
        raise DataError.of(
            "refresh is not as expected",
            expected="true or false",
            got=repr(refresh[:40]),
            where="refresh",
            do="correct the address",
        )
    return query.get("stream"), _FLAGS[refresh]


def _asked(value: object) -> tuple[str, list[object]]:
    """Stream and events. What is plainly an ``EventsRequest`` is not asked twice whether it is one.

    Raises:
        DataError: with everything that does not fit.
    """
    if isinstance(value, dict) and value.keys() == _PARTS:
        stream, events = value["stream"], value["events"]
        if isinstance(stream, str) and isinstance(events, list):
            return stream, events
    asked = body.valid(EventsRequest, value)
    return asked.stream, asked.events


async def _ndjson(site: Site, came: bytes, stream: str, refresh: bool) -> tuple[str, Taken]:
    lines = [line for line in came.split(b"\n") if line.strip()]
    _few_enough(len(lines), site.bounds)
    events = [body.parsed(line, f"line {number}") for number, line in enumerate(lines, 1)]
    return stream, await site.bell.wait(_rows(site, stream, events, len(came), refresh))


def _rows(site: Site, stream: str, events: list[object], size: int, refresh: bool) -> Future[Taken]:
    _few_enough(len(events), site.bounds)
    return site.owner.submit_rows(stream, events, size=size, refresh=refresh, source="http")


async def _arrow(site: Site, came: bytes, stream: str, refresh: bool) -> tuple[str, Taken]:
    def submit() -> Future[Taken]:
        frame = arrow.frame_of(came, rows=site.bounds.events, size=site.bounds.body)
        return site.owner.submit_frame(stream, frame, size=len(came), refresh=refresh, source="http")

    future = await site.decoded(submit)
    return stream, await site.bell.wait(future)


def _named(stream: str | None) -> str:
    if stream is None:
        raise MalformedError.of(
            "the stream is not named", expected="?stream=name", do="name it in the address"
        )
    return stream


def _few_enough(count: int, bounds: Bounds) -> None:
    if count > bounds.events:
        raise TooLargeError.of(
            "too many events in one request",
            expected=f"at most {bounds.events:,}",
            got=f"{count:,}",
            do="send them in smaller parts",
        )
