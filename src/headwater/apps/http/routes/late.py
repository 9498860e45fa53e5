"""``GET /v1/late``: the late ledger. ``GET /v1/entities/{key}/timeline``: the scores of an entity."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from headwater.apps.http.answers import answer, plain
from headwater.apps.http.keys import key_of
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import LatePage, TimelineAnswer
from headwater.apps.http.problems import NotFoundError
from headwater.apps.http.site import Site, site_of
from headwater.apps.masking import Mask
from headwater.core.instant import SECOND, instant, iso
from headwater.serving.served import unknown
from headwater.serving.timeline import Moment, timeline
from headwater.store.late import LateEvent, LateLedger

router = APIRouter(tags=["late events and timelines"])

Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
Newest = Annotated[bool, Query(description="The newest first.")]


@router.get("/v1/late", summary="Late events", **documented(LatePage, "data", "not-found"))
async def get_late(
    request: Request,
    model: Annotated[str | None, Query(description="As this model met them.")] = None,
    key: Annotated[str | None, Query(description="Of the entity with this key.", max_length=200)] = None,
    since: Annotated[str | None, Query(alias="from", description="Arrived from this time on.")] = None,
    until: Annotated[str | None, Query(alias="to", description="Arrived before this time.")] = None,
    changed: Annotated[bool, Query(description="Only those that would have changed a decision.")] = False,
    newest: Newest = False,
    after: Annotated[int, Query(ge=0, le=2**62, description="`next` of the page before.")] = 0,
    limit: Limit = 100,
) -> Response:
    """How late each was, what it moved, and which decisions it would have changed, had it come in time."""
    site = site_of(request)
    start, end = (None if text is None else instant(text) for text in (since, until))
    ledger = _ledger(site)
    found = await asyncio.to_thread(
        lambda: ledger.page(
            model=model,
            key=key,
            since=start,
            until=end,
            changed=changed,
            after=after,
            limit=limit,
            newest=newest,
        )
    )
    mask = site.mask
    following = found[-1][0] if len(found) == limit else None
    return answer({"events": [_late(event, mask) for _, event in found], "next": following})


@router.get(
    "/v1/entities/{key}/timeline",
    summary="An entity's scores",
    **documented(TimelineAnswer, "unknown", "data"),
)
async def get_timeline(
    request: Request,
    key: Annotated[str, Path(description="Of the model's first view.", max_length=200)],
    model: Annotated[str | None, Query(description="Which model; the only one if left out.")] = None,
    newest: Newest = False,
    after: Annotated[int | None, Query(ge=0, le=2**62, description="`next` of the page before.")] = None,
    limit: Limit = 50,
) -> Response:
    """The score after each of its events, with what moved it: by replay of the log."""
    site = site_of(request)
    serving = site.service.serving
    if model is None and len(serving.scorings) == 1:
        model = next(iter(serving.scorings))
    if model is None or model not in serving.scorings:
        raise unknown("model", model, serving.scorings)
    scoring = serving.scorings[model]
    view = scoring.model.features[0]
    policies = [one.policy for one in serving.deciders.values() if one.scoring is scoring]
    entity = key_of(key, view.stream.schema[view.key], view.key)
    found = await asyncio.to_thread(
        lambda: timeline(
            scoring, serving.project.views, entity, site.owner.log,
            policy=policies[0] if len(policies) == 1 else None, after=after, limit=limit, newest=newest,
        )
    )  # fmt: skip
    mask = site.masks.of(serving.project)
    moments = [_moment(one, scoring.model.name, mask) for one in found.moments]
    return answer({"model": model, "moments": moments, "next": found.next})


def _ledger(site: Site) -> LateLedger:
    if site.monitors is None:
        raise NotFoundError.of("this service keeps no late ledger", do="start it with `headwater serve`")
    return site.monitors.ledger


def _late(event: LateEvent, mask: Mask) -> dict[str, Any]:
    return {
        "offset": event.offset,
        "stream": event.stream,
        "arrival": iso(event.arrival),
        "time": iso(event.time),
        "late_seconds": event.late / SECOND,
        "model": event.model,
        "keys": plain(mask.values(event.model, event.keys)),
        "moved": list(event.moved),
        "decisions": [
            {
                "decision_id": one.id,
                "then": {"score": one.then[0], "band": one.then[1]},
                "now": None if one.now is None else {"score": one.now[0], "band": one.now[1]},
                "features": list(one.features),
            }
            for one in event.decisions
        ],
    }


def _moment(one: Moment, model: str, mask: Mask) -> dict[str, Any]:
    return {
        "offset": one.offset,
        "stream": one.stream,
        "arrival": iso(one.arrival),
        "event_time": iso(one.event_time),
        "late_seconds": one.late / SECOND,
        "keys": plain(mask.values(model, one.keys)),
        "time": iso(one.time),
        "score": one.score,
        "band": one.band,
        "before": one.before,
        "moved": [
            {
                "feature": moved.feature,
                "before": mask.values(model, {moved.feature: moved.before})[moved.feature],
                "after": mask.values(model, {moved.feature: moved.after})[moved.feature],
                "change": moved.change,
            }
            for moved in one.moved
        ],
    }
