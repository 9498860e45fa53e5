"""Headwater: from when an event was due until its entity's new score was there, the event on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.live.drive import WARM, aim
from benchmarks.contenders.live.headwater import plan, serving
from benchmarks.work import Work
from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace
from headwater.apps.load.requests import Desk, Events, Posting

SENDERS = 4  # of batches


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    return lambda: _run(work)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return result


def _run(work: Work) -> dict[str, Any]:
    options = work.options
    with serving(work) as server:
        stream = plan(server.url).stream("payments")

        def ask(posting: Posting, pace: Pace) -> dict[str, Any]:
            desk = Desk(Address.of(server.url))
            source = Events(desk, stream, posting, options["keys"], lambda: time.time_ns() // 1_000, seed=0)
            return aim(server.url, source, pace)

        seconds = options["seconds"]
        singles = ask(Posting(1, refresh=True), Pace(options["rate"], seconds, 64, WARM))
        batches = {
            media: ask(
                Posting(options["batch"], refresh=True, media=media), Pace(None, seconds, SENDERS, WARM)
            )
            for media in ("arrow", "json")
        }
        return {"singles": singles, "batches": batches, "resident": server.resident()}
