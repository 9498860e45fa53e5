"""``/v1/decisions``: decide, look up what was decided, and make it again from the log."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from headwater.apps.http import body
from headwater.apps.http.answers import answer, of_decision, of_replay
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import DecisionAnswer, DecisionRequest, ReplayAnswer
from headwater.apps.http.problems import NotFoundError
from headwater.apps.http.site import Site, site_of
from headwater.core.instant import instant
from headwater.serving.replay import Replayed, replay
from headwater.store.decisions import DecisionStore, Record

deciding = APIRouter(tags=["decisions"])
reading = APIRouter(tags=["decisions"])

DecisionId = Annotated[str, Path(description="As the decision was answered with.", max_length=40)]


@deciding.post(
    "/v1/decisions",
    summary="Decide",
    **documented(
        DecisionAnswer, "malformed", "unknown", "too-large", "data", "model", request=DecisionRequest
    ),
)
async def post_decision(request: Request) -> Response:
    """Features as of now (or ``at``), score, band and reasons. Answered once the record is on disk."""
    site = site_of(request)
    asked = body.valid(DecisionRequest, body.parsed(await body.read(request, site.bounds.body)))
    at = None if asked.at is None else instant(asked.at)
    record = await asyncio.wrap_future(site.service.ask(asked.policy, asked.keys, asked.request, at))
    return answer(of_decision(record))


@reading.get(
    "/v1/decisions/{decision_id}", summary="A decision", **documented(DecisionAnswer, "not-found", "data")
)
async def get_decision(request: Request, decision_id: DecisionId) -> Response:
    """A decision as it was recorded."""
    site = site_of(request)
    return answer(of_decision(await asyncio.to_thread(_record, site, decision_id)))


@reading.post(
    "/v1/decisions/{decision_id}/replay",
    summary="Make a decision again",
    **documented(ReplayAnswer, "malformed", "not-found", "unknown", "data"),
)
async def post_replay(request: Request, decision_id: DecisionId) -> Response:
    """From the log: the same bits, or what differs and why."""
    site = site_of(request)

    def again() -> tuple[Record, Replayed]:
        record = _record(site, decision_id)
        decider = site.service.serving.policy(record.decision.policy)
        return record, replay(record.decision, site.service.log, decider)

    return answer(of_replay(*await asyncio.to_thread(again)))


def _record(site: Site, decision_id: str) -> Record:
    with DecisionStore.open(site.service.folder.decisions) as store:
        if (
            not decision_id.isdecimal()
            or not decision_id.isascii()
            or not 1 <= int(decision_id) <= len(store)
        ):
            raise NotFoundError.of(
                "there is no such decision",
                got=repr(decision_id[:40]),
                do="give the id that the decision was answered with",
            )
        return store.get(int(decision_id))
