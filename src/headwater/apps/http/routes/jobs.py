"""``/v1/jobs``: what is done by the clock, what came of it, and a way to ask for it now."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from headwater.apps.http import body
from headwater.apps.http.answers import answer
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import JobAnswer, JobRequest, TimedJobs
from headwater.apps.http.problems import NotFoundError
from headwater.apps.http.scheduler import Scheduler
from headwater.apps.http.security import principal_of
from headwater.apps.http.site import Site, site_of
from headwater.core.errors import DataError
from headwater.store.jobs import number_of

reading = APIRouter(tags=["jobs"])
running = APIRouter(tags=["jobs"])

JobId = Annotated[str, Path(description="A run's id, such as `j12`.", max_length=40)]
JobName = Annotated[str, Path(description="Such as `drift.early_warning`.", max_length=200)]


@reading.get("/v1/jobs", summary="The jobs", **documented(TimedJobs, "data"))
async def get_jobs(request: Request) -> Response:
    """Each job of the project: how often it is due, its last run, and when it is due next."""
    scheduler = _scheduler(site_of(request))
    return answer(await asyncio.to_thread(scheduler.listed))


@reading.get("/v1/jobs/{id}", summary="A run of a job", **documented(JobAnswer, "not-found", "data"))
async def get_job(request: Request, id: JobId) -> Response:
    """Why it was run, how it stands, and what came of it."""
    scheduler, number = _scheduler(site_of(request)), number_of(id)
    found = None if number is None else await asyncio.to_thread(scheduler.find, number)
    if found is None:
        raise NotFoundError.of(
            "there is no such run of a job", got=repr(id[:40]), do="give an id that /v1/jobs names"
        )
    return answer(found)


@running.post(
    "/v1/jobs/{name}/run",
    summary="Run a job",
    **documented(JobAnswer, "malformed", "data", "too-large", request=JobRequest),
)
async def post_run(request: Request, name: JobName) -> Response:
    """It runs as soon as no other job does, in a process of its own; ask for it by its id. Who asked stands
    in the audit trail."""  # noqa: D205, D209 - shown as it is
    site = site_of(request)
    asked = body.valid(JobRequest, body.parsed(await body.read(request, site.bounds.body)))
    who = principal_of(request.scope)
    actor = "open" if who is None else who.id
    job = await asyncio.to_thread(_scheduler(site).ask, name, asked.why, actor)
    return answer(job)


def _scheduler(site: Site) -> Scheduler:
    if site.scheduler is None:
        raise DataError.of("this server has no jobs", do="start it with headwater serve")
    return site.scheduler
