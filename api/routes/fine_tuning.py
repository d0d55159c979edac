"""Fine-tuning jobs in OpenAI's form."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from adapters.jobs import Job, JobKind
from adapters.queue import JobQueue
from api import fine_tune, json_body
from api.errors import BadRequest
from api.idempotency import IdempotencyKey, submit
from api.job_object import job_object, page_object
from api.openapi import answers, takes
from api.routes import jobs
from api.routes.dependencies import ServicesDep
from api.schemas import FineTuneRequest
from api.services import in_thread
from zoo.errors import InvalidInput

router = APIRouter(tags=["Fine-tuning"])
_JOB = {"id": "ftjob-abc", "object": "fine_tuning.job", "model": "minilm@1", "status": "queued", "seed": 7}
PAGE = 100
_CURSOR = Annotated[str | None, Query(max_length=100)]


@router.post(
    "/v1/fine_tuning/jobs",
    operation_id="create_fine_tuning_job",
    summary="Adapt a model to a data file.",
    status_code=202,
    openapi_extra=takes(FineTuneRequest),
    responses=answers(_JOB, "The job, queued.", 202),
)
async def create_job(request: Request, services: ServicesDep, key: IdempotencyKey = None) -> JSONResponse:
    body, raw = await json_body.read(request, FineTuneRequest)
    spec = await in_thread(fine_tune.specify, body, services, request.scope["state"]["owner"])
    return await submit(spec, services, key=key, body=raw)


@router.get(
    "/v1/fine_tuning/jobs",
    operation_id="list_fine_tuning_jobs",
    summary="Jobs, newest first; metadata[key]=value selects, metadata=null those without any.",
    responses=answers({"object": "list", "data": [_JOB], "has_more": False}, "A page of jobs."),
)
async def list_jobs(
    request: Request,
    services: ServicesDep,
    after: _CURSOR = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Any:
    wanted = metadata_filter(request)
    found = await in_thread(_select, services.queue, after, limit, wanted)
    return JSONResponse(page_object([job_object(job) for job in found[:limit]], has_more=len(found) > limit))


@router.get(
    "/v1/fine_tuning/jobs/{job_id}",
    operation_id="retrieve_fine_tuning_job",
    summary="One job.",
    responses=answers(_JOB, "The job."),
)
async def retrieve_job(job_id: str, services: ServicesDep) -> JSONResponse:
    return JSONResponse(job_object(await jobs.find(job_id, services, kind=JobKind.ADAPT)))


@router.post(
    "/v1/fine_tuning/jobs/{job_id}/cancel",
    operation_id="cancel_fine_tuning_job",
    summary="Cancel a job; one that runs ends within seconds.",
    status_code=202,
    responses=answers(_JOB, "The job, cancelled or about to be.", 202),
)
async def cancel_job(job_id: str, services: ServicesDep) -> JSONResponse:
    await jobs.find(job_id, services, kind=JobKind.ADAPT)
    return await jobs.cancel_job(job_id, services)


@router.post(
    "/v1/fine_tuning/jobs/{job_id}/retry",
    operation_id="retry_fine_tuning_job",
    summary="Queue a failed or cancelled job again.",
    status_code=202,
    responses=answers(_JOB, "The job, queued again.", 202),
)
async def retry_job(job_id: str, services: ServicesDep) -> JSONResponse:
    await jobs.find(job_id, services, kind=JobKind.ADAPT)
    return await jobs.retry_job(job_id, services)


@router.post("/v1/fine_tuning/jobs/{job_id}/pause", operation_id="pause_fine_tuning_job", summary="Not supported.")
async def pause_job(job_id: str) -> None:
    raise BadRequest("Jobs cannot be paused: cancel it, and create it again later.", code="unsupported_method")


@router.post("/v1/fine_tuning/jobs/{job_id}/resume", operation_id="resume_fine_tuning_job", summary="Not supported.")
async def resume_job(job_id: str) -> None:
    raise BadRequest("Jobs cannot be paused or resumed; retry one that ended.", code="unsupported_method")


@router.get(
    "/v1/fine_tuning/jobs/{job_id}/events",
    operation_id="list_fine_tuning_events",
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
    await jobs.find(job_id, services, kind=JobKind.ADAPT)
    return await jobs.list_events(job_id, request, services, after, limit, stream)


@router.get(
    "/v1/fine_tuning/jobs/{job_id}/checkpoints",
    operation_id="list_fine_tuning_checkpoints",
    summary="States of training from which the job can go on, newest first.",
    responses=answers({"object": "list", "data": [], "has_more": False}, "A page of checkpoints."),
)
async def list_checkpoints(
    job_id: str, services: ServicesDep, after: _CURSOR = None, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> JSONResponse:
    await jobs.find(job_id, services, kind=JobKind.ADAPT)
    return await jobs.list_checkpoints(job_id, services, after, limit)


def _select(queue: JobQueue, after: str | None, limit: int, wanted: dict[str, str] | None) -> list[Job]:
    """Up to ``limit`` + 1 jobs, newest first; an empty ``wanted`` selects those without metadata."""
    found: list[Job] = []
    while True:
        page = queue.list(after=after, limit=PAGE, kind=JobKind.ADAPT, metadata=wanted)
        found += [job for job in page.items if wanted != {} or not job.spec.metadata]
        if len(found) > limit or not page.has_more:
            return found[: limit + 1]
        after = page.items[-1].id


def metadata_filter(request: Request) -> dict[str, str] | None:
    """``metadata[key]=value`` pairs of the query; an empty dict for ``metadata=null``; None if none is asked for."""
    query = request.query_params
    wanted = {name[9:-1]: value for name, value in query.items() if name.startswith("metadata[") and name.endswith("]")}
    if wanted:
        return wanted
    if "metadata" not in query:
        return None
    if query["metadata"] != "null":
        raise InvalidInput("Filter with metadata[key]=value, or metadata=null.", param="metadata")
    return {}
