"""``GET /v1/scores/stream``: every fresh score as it comes, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from headwater.apps.http.answers import of_refresh
from headwater.apps.http.openapi import streamed
from headwater.apps.http.payloads import Score
from headwater.apps.http.security import mask_for
from headwater.apps.http.site import Site, site_of
from headwater.serving.live import Refresh
from headwater.serving.served import unknown

router = APIRouter(tags=["scores"])
PULSE = 15.0  # seconds without a score after which a comment shows that the line is up


@router.get("/v1/scores/stream", summary="Fresh scores as they come", **streamed(Score, "unknown", "data"))
async def get_scores(
    request: Request,
    model: Annotated[str | None, Query(description="Only of this model.")] = None,
    band: Annotated[str | None, Query(description="Only in this band.")] = None,
) -> Response:
    """Server-sent events: `score` for each score; `lost` with a number where a slow listener missed some."""
    site = site_of(request)
    if model is not None and model not in site.service.serving.scorings:
        raise unknown("model", model, site.service.serving.scorings)

    def wanted(refresh: Refresh) -> bool:
        scored = refresh.scored
        return (model is None or scored.model == model) and (
            band is None or site.service.serving.band(scored.model, scored.score) == band
        )

    return StreamingResponse(
        _told(site, request, wanted if model or band else None), media_type="text/event-stream"
    )


async def _told(
    site: Site, request: Request, wanted: Callable[[Refresh], bool] | None
) -> AsyncIterator[bytes]:
    loop, woken = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(woken.set)

    feed = site.owner.feed
    listener = feed.subscribe(wake, wanted=wanted)
    site.streams.add(woken)
    try:
        yield b": listening\n\n"
        while not site.ending and site.holds(request) and not await request.is_disconnected():
            try:
                await asyncio.wait_for(woken.wait(), PULSE)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if not site.holds(request):
                break
            woken.clear()
            heard = listener.take()
            if heard.lost:
                yield b"event: lost\ndata: %d\n\n" % heard.lost
            serving, mask = site.service.serving, mask_for(request.scope, site.mask)
            for refresh in heard.refreshes:
                data = msgspec.json.encode(of_refresh(refresh, serving, mask))
                yield b"id: %d\nevent: score\ndata: %s\n\n" % (refresh.scored.offset, data)
    finally:
        site.streams.discard(woken)
        feed.unsubscribe(listener)
