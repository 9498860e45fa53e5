"""``GET /v1/features/{view}/{key}``: what is known of an entity, now or at a moment."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from headwater.apps.http.answers import answer, of_features
from headwater.apps.http.keys import key_of
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import FeaturesAnswer
from headwater.apps.http.site import Site, site_of
from headwater.apps.masking import personal_outputs
from headwater.core.instant import instant
from headwater.serving.replica import Replica

router = APIRouter(tags=["features"])


@router.get(
    "/v1/features/{view}/{key}",
    summary="Features of an entity",
    **documented(FeaturesAnswer, "unknown", "data", "online"),
)
async def get_features(
    request: Request,
    view: Annotated[str, Path(description="The feature view's name.")],
    key: Annotated[str, Path(description="The entity's key.")],
    at: Annotated[str | None, Query(description="As of when, ISO 8601 with a zone; now if left out.")] = None,
) -> Response:
    """Straight from the state, as a decision would read them. Personal values are masked."""
    site = site_of(request)
    service, moment = site.service, None if at is None else instant(at)
    if isinstance(service, Replica):  # whose state is a round trip away
        read = await asyncio.to_thread(service.features, view, _key(site, view, key), moment)
    else:
        read = service.features(view, _key(site, view, key), moment)
    found = next(one for one in site.service.serving.project.views if one.name == view)
    return answer(of_features(view, found.key, key, read, personal_outputs(found)))


def _key(site: Site, view: str, text: str) -> Any:
    """The key of an address in the type of its column."""
    found = next((one for one in site.service.serving.project.views if one.name == view), None)
    if found is None:
        return text  # the service says which views there are
    return key_of(text, found.stream.schema[found.key], found.key)
