"""``/v1/backtests``: which past decisions would come out otherwise under another model or policy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from headwater.apps.http import body
from headwater.apps.http.answers import answer
from headwater.apps.http.jobs import Job
from headwater.apps.http.openapi import documented
from headwater.apps.http.payloads import BacktestAnswer, BacktestRequest
from headwater.apps.http.problems import NotFoundError
from headwater.apps.http.routes.decisions import others
from headwater.apps.http.site import Site, site_of
from headwater.core.errors import HeadwaterError
from headwater.core.instant import instant, iso
from headwater.serving.backtest import Backtest, backtest

router = APIRouter(tags=["backtests"])
EXAMPLES = 20
_CODES = ("malformed", "unknown", "too-large", "data", "model")
_FOUND = documented(BacktestAnswer, "not-found", "data")

JobId = Annotated[str, Path(description="As the backtest was answered with.", max_length=40)]


@router.post(
    "/v1/backtests",
    summary="Start a backtest",
    **documented(
        BacktestAnswer,
        "malformed",
        "unknown",
        "too-large",
        "data",
        "definition",
        "model",
        "training",
        request=BacktestRequest,
    ),
)
async def post_backtest(request: Request) -> Response:
    """Makes past decisions again with other definitions, another version of the model or another policy, and
    counts what would come out otherwise, by cause and by reason. It runs beside serving; ask how far it is by
    its id."""  # noqa: D205, D209 - shown as it is
    site = site_of(request)
    asked = body.valid(BacktestRequest, body.parsed(await body.read(request, site.bounds.body)))
    decider = await asyncio.to_thread(site.past.other, asked.of, others(asked.with_))
    service, own = site.owner, site.past.own
    filters: dict[str, Any] = {
        "key": asked.key,
        "band": asked.band,
        "since": None if asked.since is None else instant(asked.since),
        "until": None if asked.until is None else instant(asked.until),
    }

    def run(progress: Callable[[int, int], None], stopped: Callable[[], bool]) -> Backtest:
        return backtest(
            service.decisions,
            service.log,
            decider,
            own=own,
            progress=progress,
            stopped=stopped,
            examples=EXAMPLES,
            **filters,
        )

    return answer(_told(site.jobs.start(run)))


@router.get("/v1/backtests/{id}", summary="A backtest", **_FOUND)
async def get_backtest(request: Request, id: JobId) -> Response:
    """How far it is, and what came of it. Jobs are forgotten when the server ends."""
    site = site_of(request)
    return answer(_told(_job(site, id)))


@router.delete("/v1/backtests/{id}", summary="Stop a backtest", **_FOUND)
async def delete_backtest(request: Request, id: JobId) -> Response:
    """It ends soon, with what was compared so far."""
    site = site_of(request)
    job = _job(site, id)
    job.stopping = True
    return answer(_told(job))


def _job(site: Site, id: str) -> Job:
    job = site.jobs.find(id)
    if job is None:
        raise NotFoundError.of(
            "there is no such backtest", got=repr(id[:40]), do="give the id that it was answered with"
        )
    return job


def _told(job: Job) -> dict[str, Any]:
    state = job.state
    found: dict[str, Any] = {"id": job.id, "state": state, "done": job.done, "total": job.total}
    if state == "failed":
        error = job.future.exception()
        found["failure"] = str(error) if isinstance(error, HeadwaterError) else type(error).__name__
    elif state in ("done", "stopped"):
        found["result"] = _result(job.future.result())
    return found


def _result(found: Backtest) -> dict[str, Any]:
    return {
        "total": found.total,
        "compared": found.compared,
        "same": found.same,
        "moved": found.moved,
        "changed": found.changed,
        "transitions": [
            {"then": then, "now": now, "count": count} for (then, now), count in found.transitions.items()
        ],
        "causes": dict(found.causes),
        "reasons": dict(found.reasons),
        "data": found.data,
        "examples": [
            {
                "decision_id": one.id,
                "time": iso(one.time),
                "then": {"score": one.then[0], "band": one.then[1]},
                "now": {"score": one.now[0], "band": one.now[1]},
                "cause": one.cause,
                "reasons": list(one.reasons),
            }
            for one in found.examples
        ],
    }
