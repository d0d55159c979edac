"""Jobs of every kind, imports too."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import Request
from starlette.responses import Response

from adapters.jobs import Job, JobKind
from api.event_stream import frames
from api.job_object import checkpoint_object, event_object, job_object, page_object
from api.openapi import answers
from api.routes.dependencies import ServicesDep
from api.services import Services, in_thread
from zoo.errors import NotFound

router = APIRouter(tags=["Jobs"])
_JOB = {"id": "ftjob-abc", "object": "job", "kind": "import", "model": "minilm", "status": "running"}
_CURSOR = Annotated[str | None, Query(max_length=100)]
_STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


@router.get(
    "/v1/jobs",
    operation_id="list_jobs",
    summary="Jobs of every kind, newest first.",
    responses=answers({"object": "list", "data": [_JOB], "has_more": False}, "A page of jobs."),
)
async def list_jobs(
    services: ServicesDep,
    after: _CURSOR = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    kind: JobKind | None = None,
) -> JSONResponse:
    page = await in_thread(services.queue.list, after=after, limit=limit, kind=kind)
    return JSONResponse(page_object([job_object(job) for job in page.items], has_more=page.has_more))


@router.get("/v1/jobs/{job_id}", operation_id="retrieve_job", summary="One job.", responses=answers(_JOB, "The job."))
async def retrieve_job(job_id: str, services: ServicesDep) -> JSONResponse:
    return JSONResponse(job_object(await find(job_id, services)))


@router.post(
    "/v1/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Cancel a job; one that runs ends within seconds.",
    status_code=202,
    responses=answers(_JOB, "The job, cancelled or about to be.", 202),
)
async def cancel_job(job_id: str, services: ServicesDep) -> JSONResponse:
    return JSONResponse(job_object(await in_thread(services.queue.cancel, job_id)), 202)


@router.post(
    "/v1/jobs/{job_id}/retry",
    operation_id="retry_job",
    summary="Queue a failed or cancelled job again.",
    status_code=202,
    responses=answers(_JOB, "The job, queued again.", 202),
)
async def retry_job(job_id: str, services: ServicesDep) -> JSONResponse:
    return JSONResponse(job_object(await in_thread(services.queue.retry, job_id)), 202)


@router.get(
    "/v1/jobs/{job_id}/events",
    operation_id="list_job_events",
    summary="What happened in a job, newest first; with stream=true as it happens.",
    responses=answers({"object": "list", "data": [], "has_more": False}, "A page of events, or an event stream."),
)
async def list_events(
    job_id: str,
    request: Request,
    services: ServicesDep,
    after: _CURSOR = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    stream: bool = False,
) -> Response:
    await find(job_id, services)
    if stream or "text/event-stream" in request.headers.get("accept", ""):
        source = frames(services.queue, job_id, services.readiness.draining)
        return StreamingResponse(source, media_type="text/event-stream", headers=_STREAM_HEADERS)
    page = await in_thread(services.queue.events, job_id, after=after, limit=limit)
    return JSONResponse(page_object([event_object(event) for event in page.items], has_more=page.has_more))


@router.get(
    "/v1/jobs/{job_id}/checkpoints",
    operation_id="list_job_checkpoints",
    summary="States from which the job can go on, newest first.",
    responses=answers({"object": "list", "data": [], "has_more": False}, "A page of checkpoints."),
)
async def list_checkpoints(
    job_id: str, services: ServicesDep, after: _CURSOR = None, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> JSONResponse:
    job = await find(job_id, services)
    page = await in_thread(services.queue.checkpoints, job_id, after=after, limit=limit)
    items = [checkpoint_object(job, checkpoint) for checkpoint in page.items]
    return JSONResponse(page_object(items, has_more=page.has_more))


async def find(job_id: str, services: Services, *, kind: JobKind | None = None) -> Job:
    """A job, if it is of the kind asked for; ``NotFound``."""
    job = await in_thread(services.queue.get, job_id)
    if kind is not None and job.spec.kind is not kind:
        raise NotFound("There is no such fine-tuning job; other jobs are under /v1/jobs.")
    return job
