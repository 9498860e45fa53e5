"""``/v1/models``, ``/v1/policies``, ``/v1/plan``: what is served; ``/v1/definitions``: what ever was; and
``/v1/reload``: something newer."""  # noqa: D205, D209

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from headwater.apps.http.answers import answer
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import KeptDefinitions, KeptPlan, Models, Plan, Policies, Reloaded
from headwater.apps.http.problems import NotFoundError
from headwater.apps.http.site import site_of
from headwater.core.instant import iso
from headwater.definitions.compile import compiled, content_hash, hash_of
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.serving.served import Serving
from headwater.store.definitions import Kept

reading = APIRouter(tags=["project"])
reloading = APIRouter(tags=["project"])

DefinitionHash = Annotated[
    str, Path(description="Its hash, or the first 8 digits or more.", min_length=8, max_length=64)
]


@reading.get("/v1/models", summary="The models", **documented(Models))
async def get_models(request: Request) -> Response:
    """Each model of the project, and the version of it that is served."""
    serving = site_of(request).service.serving
    return answer({"models": [_model(model, serving) for model in serving.project.models]})


@reading.get("/v1/policies", summary="The policies", **documented(Policies))
async def get_policies(request: Request) -> Response:
    """Bands and reasons."""
    serving = site_of(request).service.serving
    return answer({"policies": [_policy(policy) for policy in serving.project.policies]})


@reading.get("/v1/plan", summary="The definitions", **documented(Plan))
async def get_plan(request: Request) -> Response:
    """The project's definitions in the form whose hash is stamped on decisions."""
    definition = compiled(site_of(request).service.serving.project)
    return answer({"hash": hash_of(definition), "definition": definition})


@reading.get("/v1/definitions", summary="Kept definitions", **documented(KeptDefinitions))
async def get_definitions(request: Request) -> Response:
    """Every project, model and policy that was ever in force here. A replay can be made with any of them."""
    service = site_of(request).service
    kept = await asyncio.to_thread(service.definitions.all)
    return answer({"definitions": [_kept(one, service.serving) for one in kept]})


@reading.get(
    "/v1/definitions/{hash}", summary="A kept definition", **documented(KeptPlan, "not-found", "data")
)
async def get_definition(request: Request, hash: DefinitionHash) -> Response:  # noqa: A002 - the address's word
    """In the form whose hash is stamped on decisions."""
    service = site_of(request).service
    kept = await asyncio.to_thread(service.definitions.find, hash)
    if kept is None:
        raise NotFoundError.of(
            "no such definition is kept",
            got=repr(hash[:64]),
            do="give a hash of GET /v1/definitions, or its first 8 digits",
        )
    return answer({**_kept(kept, service.serving), "definition": dict(kept.form)})


@reloading.post(
    "/v1/reload", summary="Serve what is newest", **documented(Reloaded, "data", "definition", "model")
)
async def post_reload(request: Request) -> Response:
    """Reads the project file and the registry again: other champions, policies and definitions are served
    from then on, without a request dropped."""  # noqa: D205, D209
    site = site_of(request)
    before = _served(site.service.serving)
    await asyncio.to_thread(site.reload)
    after = _served(site.service.serving)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    models = {name: one.digest for name, one in site.service.serving.scorings.items()}
    return answer({"models": models, "changed": changed})


def _kept(kept: Kept, serving: Serving) -> dict[str, Any]:
    project = serving.project
    parts = {"project": (project,), "model": project.models, "policy": project.policies}[kept.kind]
    return {
        "kind": kept.kind,
        "name": kept.name,
        "hash": kept.digest,
        "since": iso(kept.since),
        "serving": kept.digest in {content_hash(part) for part in parts},
    }


def _served(serving: Serving) -> dict[str, str]:
    """Each part with what tells one version of it from another."""
    project = serving.project
    found = {f"model {name}": one.digest for name, one in serving.scorings.items()}
    found |= {f"policy {policy.name}": content_hash(policy) for policy in project.policies}
    return found | {f"view {view.name}": content_hash(view) for view in project.views}


def _model(model: Model, serving: Serving) -> dict[str, Any]:
    scoring = serving.scorings.get(model.name)
    types = {view.key: str(view.stream.schema[view.key]) for view in model.features}
    return {
        "name": model.name,
        "served": scoring is not None,
        "digest": None if scoring is None else scoring.digest,
        "definition": content_hash(model),
        "keys": types,
        "request": {name: str(model.columns[name]) for name in model.request},
        "inputs": list(model.inputs),
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "model": policy.model.name,
        "digest": content_hash(policy),
        "bands": dict(policy.bands),
        "reasons": dict(policy.reasons),
        "max_reasons": policy.max_reasons,
    }
