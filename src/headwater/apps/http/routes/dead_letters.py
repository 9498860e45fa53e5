"""``/v1/dead-letters``: events that were refused, and their second chance after a fix."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from headwater.apps.http import body
from headwater.apps.http.answers import answer
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import DeadLetters, Redriven, RedriveRequest
from headwater.apps.http.security import mask_for
from headwater.apps.http.site import Site, site_of
from headwater.core.instant import iso
from headwater.core.schema import PERSONAL
from headwater.log.protocol import DeadLetter, Outcome
from headwater.serving.group import Taken

reading = APIRouter(tags=["dead letters"])
mending = APIRouter(tags=["dead letters"])


@reading.get("/v1/dead-letters", summary="Refused events", **documented(DeadLetters, "data"))
async def get_dead_letters(
    request: Request,
    stream: Annotated[str | None, Query(description="Only of this stream.")] = None,
    reason: Annotated[str | None, Query(description="Only with this reason.")] = None,
    after: Annotated[
        int, Query(ge=0, le=2**62, description="Behind this id: `next` of the page before.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000, description="How many at most.")] = 100,
) -> Response:
    """The oldest first. Personal values are masked."""
    site = site_of(request)
    box = site.owner.letters

    def read() -> tuple[list[DeadLetter], dict[str, int]]:
        return (
            box.dead_letters(stream=stream, reason=reason, after=after, limit=limit),
            box.dead_letter_counts(stream),
        )

    letters, counts = await asyncio.to_thread(read)
    mask = mask_for(request.scope, site.mask)
    return answer(
        {
            "letters": [_told(letter if mask is None else mask.letter(letter)) for letter in letters],
            "counts": counts,
            "next": letters[-1].id if len(letters) == limit else None,
        }
    )


@mending.post(
    "/v1/dead-letters/redrive",
    summary="Send refused events again",
    **documented(Redriven, "malformed", "data", "too-large", request=RedriveRequest),
)
async def post_redrive(request: Request) -> Response:
    """Offers the letters to the log once more, as they are stored: after the project, or its lateness, was
    mended. What is accepted now, or was there already, is no dead letter any longer."""  # noqa: D205, D209
    site = site_of(request)
    asked = body.valid(RedriveRequest, body.parsed(await body.read(request, site.bounds.body)))
    letters = await asyncio.to_thread(
        lambda: site.owner.letters.dead_letters(
            stream=asked.stream, reason=asked.reason, after=asked.after, limit=asked.limit
        )
    )
    settled: list[int] = []
    waiting: list[tuple[list[int], Any]] = []
    for stream in dict.fromkeys(letter.stream for letter in letters):
        own = [(letter.id, _event(letter)) for letter in letters if letter.stream == stream]
        whole = [(id, event) for id, event in own if event is not None]
        if whole and stream in site.service.serving.readers:
            events = [event for _, event in whole]
            size = sum(len(letter.event) for letter in letters)
            future = site.owner.submit_rows(stream, events, size=size, source="redrive")
            waiting.append(([id for id, _ in whole], future))
    for ids, future in waiting:
        taken: Taken = await asyncio.wrap_future(future)
        settled += [
            id for id, outcome in zip(ids, taken.outcome.tolist(), strict=True) if outcome != Outcome.REFUSED
        ]
    settled_again = await _settle(site, letters, settled)
    return answer({"tried": len(letters), "taken": len(settled), "left": len(letters) - settled_again})


async def _settle(site: Site, letters: list[DeadLetter], taken: list[int]) -> int:
    """Remove the letters that are in the log now, and those that were refused anew as other letters."""
    tried = {letter.id for letter in letters if _event(letter) is not None}
    tried &= {letter.id for letter in letters if letter.stream in site.service.serving.readers}
    if tried:
        await asyncio.to_thread(lambda: site.owner.letters.remove_dead_letters(ids=sorted(tried)))
    return len(taken)


def _told(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "stream": letter.stream,
        "arrival": iso(letter.arrival),
        "reason": letter.reason,
        "message": letter.message,
        "event": letter.event,
        "source": letter.source,
    }


def _event(letter: DeadLetter) -> dict[str, Any] | None:
    """The event, if it is whole: an object without masked values."""
    try:
        event = json.loads(letter.event)
    except ValueError:
        return None
    return event if isinstance(event, dict) and PERSONAL not in event.values() else None
