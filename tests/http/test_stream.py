"""The score stream ends for whoever would not be let in any more, before anything else is told."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request

from headwater.apps.http.metrics import Metrics
from headwater.apps.http.routes.scores import _told
from headwater.apps.http.site import Bounds, Present, Site
from tests.http.house import House
from tests.http.test_events import pay, post


def test_a_revoked_listener_hears_nothing_more(house: House) -> None:
    held = [True]
    site = Site(
        house.service, Bounds(), Metrics(), lambda: None, Present(house.service), holds=lambda _: held[0]
    )

    async def silent() -> Any:
        await asyncio.sleep(60)

    async def listen() -> list[bytes]:
        stream = _told(site, Request({"type": "http"}, silent), None)
        heard = [await anext(stream)]
        waiting = asyncio.ensure_future(anext(stream, b"the end"))
        await asyncio.sleep(0.2)
        held[0] = False
        await asyncio.to_thread(post, house, pay(60_001, 5, 100.0), refresh=True)
        return [*heard, await asyncio.wait_for(waiting, 5)]

    assert asyncio.run(listen()) == [b": listening\n\n", b"the end"]
