"""``/v1/decisions``: decide, look up what was decided, and make it again from the log."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.types import Scope

from headwater.apps.http import body
from headwater.apps.http.answers import answer, of_decision, of_replay
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import (
    DecisionAnswer,
    DecisionRequest,
    Decisions,
    ReplayAnswer,
    ReplayRequest,
    ReplayWith,
)
from headwater.apps.http.problems import NotFoundError
from headwater.apps.http.security import mask_for
from headwater.apps.http.site import Begun, Others, Site, site_of
from headwater.apps.masking import personal_inputs
from headwater.core.errors import DataError
from headwater.core.instant import instant
from headwater.serving.decide import Decider
from headwater.serving.replay import Replayed, replay
from headwater.store.decisions import Record

deciding = APIRouter(tags=["decisions"])
reading = APIRouter(tags=["decisions"])

_LONGEST = 200
_CODES = ("malformed", "unknown", "conflict", "too-large", "data", "model", "online")
_HEADERS = {"Idempotency-Key": "A name of your own for this request: sent again, it gives the same decision."}
DecisionId = Annotated[str, Path(description="As the decision was answered with.", max_length=40)]


@deciding.post(
    "/v1/decisions",
    summary="Decide",
    **documented(DecisionAnswer, *_CODES, request=DecisionRequest, headers=_HEADERS),
)
async def post_decision(request: Request) -> Response:
    """Features as of now (or ``at``), score, band and reasons. Answered once the record is on disk."""
    site = site_of(request)
    future, told = begin(site, request.scope, await body.read(request, site.bounds.body))
    return answer(told(await site.bell.wait(future)))


def begin(site: Site, scope: Scope, came: bytes) -> Begun[Record]:
    """Ask for the decision that a request asks for."""
    asked = body.valid(DecisionRequest, body.parsed(came))
    at = None if asked.at is None else instant(asked.at)
    future = site.service.ask(asked.policy, asked.keys, asked.request, at, idempotency_key=_name(scope))
    return future, lambda record: of_decision(record, mask_for(scope, site.mask))


@reading.get("/v1/decisions", summary="Decisions", **documented(Decisions, "data"))
async def get_decisions(
    request: Request,
    key: Annotated[str | None, Query(description="About the entity with this key.", max_length=200)] = None,
    model: Annotated[str | None, Query(description="Of this model.")] = None,
    policy: Annotated[str | None, Query(description="Of this policy.")] = None,
    band: Annotated[str | None, Query(description="With this outcome.")] = None,
    since: Annotated[
        str | None, Query(alias="from", description="Decided from this time on, ISO 8601 with a zone.")
    ] = None,
    until: Annotated[str | None, Query(alias="to", description="Decided before this time.")] = None,
    newest: Annotated[bool, Query(description="The newest first.")] = False,
    after: Annotated[int, Query(ge=0, le=2**62, description="`next` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000, description="How many at most.")] = 100,
) -> Response:
    """Those that match all that is given, in their order, a page at a time."""
    site = site_of(request)
    start, end = (None if text is None else instant(text) for text in (since, until))
    records = await asyncio.to_thread(
        lambda: site.service.decisions.page(
            model=model, policy=policy, key=key, since=start, until=end, band=band,
            after=after, limit=limit, newest=newest,
        )
    )  # fmt: skip
    following = records[-1].number if len(records) == limit else None
    mask = mask_for(request.scope, site.mask)
    return answer({"decisions": [of_decision(record, mask) for record in records], "next": following})


@reading.get(
    "/v1/decisions/{decision_id}", summary="A decision", **documented(DecisionAnswer, "not-found", "data")
)
async def get_decision(request: Request, decision_id: DecisionId) -> Response:
    """A decision as it was recorded."""
    site = site_of(request)
    record = await asyncio.to_thread(_record, site, decision_id)
    return answer(of_decision(record, mask_for(request.scope, site.mask)))


@reading.post(
    "/v1/decisions/{decision_id}/replay",
    summary="Make a decision again",
    **documented(
        ReplayAnswer,
        "malformed",
        "not-found",
        "unknown",
        "too-large",
        "data",
        "definition",
        "model",
        "training",
        request=ReplayRequest,
    ),
)
async def post_replay(request: Request, decision_id: DecisionId) -> Response:
    """From the log: the same bits, or what differs and why. With other definitions, another version of the
    model or another policy, each difference is put down to the first of data, definition, model and policy,
    in this order, that makes it. Definitions are named by their hash: nothing in a request is run."""  # noqa: D205, D209 - shown as it is
    site = site_of(request)
    came = await body.read(request, site.bounds.body)
    asked = body.valid(ReplayRequest, body.parsed(came)) if came.strip() else ReplayRequest()

    masked = mask_for(request.scope, site.mask) is not None

    def again() -> tuple[Record, Replayed, set[str]]:
        record = _record(site, decision_id)
        other = site.past.decider(record.decision, others(asked.with_))
        own = site.past.own(record.decision)
        found = replay(record.decision, site.owner.log, other, own=own)
        return record, found, _personal(found, other, own) if masked else set()

    return answer(of_replay(*await asyncio.to_thread(again)))


def others(asked: ReplayWith) -> Others:
    """What a request names in place of a decision's own."""
    return Others(asked.definitions, asked.model, asked.policy)


def _personal(found: Replayed, *deciders: Decider | None) -> set[str]:
    """The inputs of a replay that are personal by any of its definitions, or are in none of them."""
    models = [one.scoring.model for one in deciders if one is not None]
    known = {name for model in models for name in model.inputs}
    hidden = {name for model in models for name in personal_inputs(model)}
    return hidden | ({*found.then.features, *found.now.features} - known)


def _record(site: Site, decision_id: str) -> Record:
    found = site.service.decisions.find(decision_id)
    if found is None:
        raise NotFoundError.of(
            "there is no such decision",
            got=repr(decision_id[:40]),
            do="give the id that the decision was answered with",
        )
    return found


def _name(scope: Scope) -> str | None:
    """The sender's name for the request.

    Raises:
        DataError: it is empty, or too long.
    """
    headers = scope["headers"]
    name = next((value.decode("latin-1") for name, value in headers if name == b"idempotency-key"), None)
    if name is not None and not 0 < len(name) <= _LONGEST:
        raise DataError.of(
            "the Idempotency-Key cannot be used",
            expected=f"1 to {_LONGEST} characters",
            got=f"{len(name)} characters",
            where="Idempotency-Key",
            do="send a name of your own for each request, such as a UUID",
        )
    return name
