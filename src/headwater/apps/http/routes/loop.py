"""``/v1/models/{model}/promote``, ``rollback``, ``canary``, ``gate``; ``/v1/shadow``: who decides, and why.

The work is ``apps.http.desk``'s, in a thread.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from headwater.apps.http import body
from headwater.apps.http.answers import answer
from headwater.apps.http.loop_payloads import (
    CanaryAnswer,
    CanaryChanged,
    CanaryRequest,
    ChampionChanged,
    GateAnswer,
    PromoteRequest,
    RollbackRequest,
    ShadowAnswer,
)
from headwater.apps.http.openapi import documented
from headwater.apps.http.problems import NotFoundError
from headwater.apps.http.security import principal_of
from headwater.apps.http.site import Loop, site_of
from headwater.monitoring.canary import shadow_json
from headwater.serving.served import unknown
from headwater.store.shadow import ShadowLedger

reading = APIRouter(tags=["champions"])
changing = APIRouter(tags=["champions"])

ModelName = Annotated[str, Path(description="The model's name.", max_length=200)]
_CODES = ("malformed", "unknown", "not-found", "too-large", "unsupported-media-type", "data", "model", "gate")


@changing.post(
    "/v1/models/{model}/promote",
    summary="Make a version the champion",
    **documented(ChampionChanged, *_CODES, request=PromoteRequest),
)
async def post_promote(request: Request, model: ModelName) -> Response:
    """Takes a version whose gate said promote against today's champion; with ``force`` and a reason, any. The
    server decides with it when this is answered, and drops no request meanwhile. A version whose files are
    not those that were registered is refused, and the champion goes on. It stands in the audit trail."""  # noqa: D205, D209
    came = await body.read(request, site_of(request).bounds.body)
    asked = body.valid(PromoteRequest, body.parsed(came)) if came else PromoteRequest()
    loop = _loop(request, model)
    return answer(
        await asyncio.to_thread(
            loop.promote, model, asked.version, force=asked.force, why=asked.why, actor=_actor(request)
        )
    )


@changing.post(
    "/v1/models/{model}/rollback",
    summary="Bring the earlier champion back",
    **documented(ChampionChanged, *_CODES, request=RollbackRequest),
)
async def post_rollback(request: Request, model: ModelName) -> Response:
    """Asks no gate; a second rollback goes one champion further back. It stands in the audit trail."""
    came = await body.read(request, site_of(request).bounds.body)
    asked = body.valid(RollbackRequest, body.parsed(came)) if came else RollbackRequest()
    loop = _loop(request, model)
    return answer(await asyncio.to_thread(loop.rollback, model, why=asked.why, actor=_actor(request)))


@changing.put(
    "/v1/models/{model}/canary",
    summary="Let the challenger answer a share of the decisions",
    **documented(CanaryChanged, *_CODES, request=CanaryRequest),
)
async def put_canary(request: Request, model: ModelName) -> Response:
    """Who is on the challenger's side is told by the entity's keys and the canary's start: an entity stays on
    its side, and a larger share only adds entities. Where the challenger fails, the champion answers. A
    promotion, a rollback or another challenger ends it. It stands in the audit trail."""  # noqa: D205, D209
    came = await body.read(request, site_of(request).bounds.body)
    asked = body.valid(CanaryRequest, body.parsed(came))
    loop = _loop(request, model)
    return answer(
        await asyncio.to_thread(loop.declare, model, asked.share, why=asked.why, actor=_actor(request))
    )


@changing.delete(
    "/v1/models/{model}/canary",
    summary="Let the champion decide alone again",
    **documented(CanaryChanged, "unknown", "not-found", "data", "model", "gate"),
)
async def delete_canary(
    request: Request,
    model: ModelName,
    why: Annotated[
        str | None, Query(description="The reason, kept in the audit trail.", max_length=2_000)
    ] = None,
) -> Response:
    """Without a canary, nothing is changed. It stands in the audit trail."""
    loop = _loop(request, model)
    return answer(await asyncio.to_thread(loop.stop, model, why=why, actor=_actor(request)))


@reading.get(
    "/v1/models/{model}/canary",
    summary="The canary beside the champion",
    **documented(CanaryAnswer, "unknown", "not-found", "data", "model"),
)
async def get_canary(request: Request, model: ModelName) -> Response:
    """The share, since when, and what each of the two decided since: decisions by band, and what the other
    one would have said."""  # noqa: D205, D209
    return answer(await asyncio.to_thread(_loop(request, model).canary, model))


@reading.get(
    "/v1/models/{model}/gate",
    summary="What a gate found",
    **documented(GateAnswer, "unknown", "not-found", "data", "model"),
)
async def get_gate(
    request: Request,
    model: ModelName,
    version: Annotated[
        str | None,
        Query(description="A version's number or alias; the newest report if left out.", max_length=200),
    ] = None,
) -> Response:
    """The newest report: each check with its numbers, its bounds and its verdict. Its digest is checked."""
    loop = _loop(request, model)
    found = await asyncio.to_thread(loop.gate, model, version)
    if found is None:
        raise NotFoundError.of(
            f"no gate of {model} has a report",
            got="any version" if version is None else repr(version[:60]),
            do="hold a candidate against the champion: headwater gate",
        )
    return answer(found)


@reading.get("/v1/shadow", summary="Challengers in the shadow", **documented(ShadowAnswer, "unknown", "data"))
async def get_shadow(
    request: Request,
    model: Annotated[str | None, Query(description="Only of this model.", max_length=200)] = None,
) -> Response:
    """What challengers would have said of live decisions that another version answered: how far their scores
    are apart, which bands and first reasons would have been others. The newest pair of versions first."""  # noqa: D205, D209
    service = site_of(request).service
    models = {one.name for one in service.serving.project.models}
    if model is not None and model not in models:
        raise unknown("model", model[:60], models)

    def read() -> list[dict[str, Any]]:
        with ShadowLedger.open(service.folder.shadow) as ledger:
            return [shadow_json(one) for one in ledger.summaries(model=model)]

    return answer({"shadow": await asyncio.to_thread(read)})


def _loop(request: Request, model: str) -> Loop:
    """The desk, if there is one, for a model that there is.

    Raises:
        UnknownError: the project has no such model.
        NotFoundError: the service has no registry.
    """
    site = site_of(request)
    models = {one.name: one for one in site.service.serving.project.models}
    if model not in models:
        raise unknown("model", model[:60], models)
    if site.loop is None:
        raise NotFoundError.of("this service has no registry", do="start it with `headwater serve`")
    return site.loop


def _actor(request: Request) -> str:
    principal = principal_of(request.scope)
    return "open" if principal is None else principal.id
