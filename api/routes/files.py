"""Data files: upload, list, look at, download, delete, and what is wrong with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import Request

from adapters.datasets import FileRecord
from adapters.jobs import JobKind, JobSpec
from api.errors import RejectedUpload
from api.fine_tune import sentence
from api.job_object import page_object
from api.multipart import Form, parse_form, spool
from api.openapi import answers
from api.routes.dependencies import ServicesDep
from api.services import Services, in_thread
from zoo.errors import InvalidInput, ZooError

router = APIRouter(tags=["Files"])
PIECE_BYTES = 1 << 18
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"
_FIELDS = frozenset({"purpose", _ANCHOR, _SECONDS})
_FILE = {
    "id": "file-abc123",
    "object": "file",
    "bytes": 140,
    "created_at": 1700000000,
    "filename": "train.jsonl",
    "purpose": "fine-tune",
    "status": "processed",
    "status_details": None,
    "expires_at": None,
}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["purpose", "file"],
                    "properties": {
                        "purpose": {"type": "string", "examples": ["fine-tune"]},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


@router.post(
    "/v1/files",
    operation_id="create_file",
    summary="Upload labelled data (CSV, JSONL, Parquet or a zip of pictures); it is checked at once.",
    openapi_extra=_UPLOAD,
    responses=answers(_FILE, "The stored file."),
)
async def create_file(request: Request, services: ServicesDep) -> JSONResponse:
    content_type = request.headers.get("content-type", "")
    with spool(services.settings.home / "staging") as target:
        limit = services.settings.max_upload_bytes
        form = await parse_form(content_type, request.stream(), target, max_bytes=limit)
        record = await _keep(form, services)
    if record.needs_worker:
        await in_thread(_hand_to_worker, record, services, request.scope["state"]["owner"])
    return JSONResponse(file_object(record))


@router.get(
    "/v1/files",
    operation_id="list_files",
    summary="All files, newest first.",
    responses=answers({"object": "list", "data": [_FILE], "has_more": False}, "A page of files."),
)
async def list_files(
    services: ServicesDep,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: Annotated[str | None, Query(max_length=64)] = None,
) -> Any:
    page = await in_thread(services.files.list, after=after, limit=limit, order=order, purpose=purpose)
    return JSONResponse(page_object([file_object(record) for record in page.items], has_more=page.has_more))


@router.get(
    "/v1/files/{file_id}",
    operation_id="retrieve_file",
    summary="One file.",
    responses=answers(_FILE, "The file."),
)
async def retrieve_file(file_id: str, services: ServicesDep) -> JSONResponse:
    return JSONResponse(file_object(await in_thread(services.files.get, file_id)))


@router.delete(
    "/v1/files/{file_id}",
    operation_id="delete_file",
    summary="Delete a file.",
    responses=answers({"id": "file-abc123", "object": "file", "deleted": True}, "Deleted."),
)
async def delete_file(file_id: str, services: ServicesDep) -> JSONResponse:
    await in_thread(services.files.delete, file_id)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


@router.get(
    "/v1/files/{file_id}/content",
    operation_id="download_file",
    summary="The bytes as they were uploaded.",
    response_class=FileResponse,
)
async def download_file(file_id: str, services: ServicesDep) -> FileResponse:
    path = await in_thread(services.files.content_path, file_id)
    return FileResponse(path, media_type="application/octet-stream")


@router.get(
    "/v1/files/{file_id}/report",
    operation_id="report_file",
    summary="What is in the data: rows, classes, balance, lengths, duplicates, and every problem with its fix.",
    responses=answers({"rows": 400, "classes": [], "problems": []}, "The report."),
)
async def report_file(file_id: str, services: ServicesDep) -> JSONResponse:
    report = await in_thread(services.files.report, file_id)
    return JSONResponse(report.model_dump(mode="json"))


@router.get(
    "/v1/files/{file_id}/contact-sheet",
    operation_id="show_file",
    summary="Up to 48 small pictures of a zip, by class, with labels, boxes or masks: a JPEG.",
    response_class=FileResponse,
    responses={200: {"description": "The contact sheet.", "content": {"image/jpeg": {}}}},
)
async def show_file(file_id: str, services: ServicesDep) -> FileResponse:
    path = await in_thread(services.files.contact_sheet_path, file_id)
    return FileResponse(path, media_type="image/jpeg")


def file_object(record: FileRecord) -> dict[str, Any]:
    """A file as OpenAI's clients read it."""
    return {
        "id": record.id,
        "object": "file",
        "bytes": record.bytes,
        "created_at": int(record.created_at),
        "filename": record.filename,
        "purpose": record.purpose,
        "status": record.status,
        "status_details": record.status_details,
        "expires_at": record.expires_at,
    }


async def _keep(form: Form, services: Services) -> FileRecord:
    """Store and check an upload; ``RejectedUpload`` if it cannot be trained on."""
    if unknown := set(form.fields) - _FIELDS:
        raise InvalidInput(f"{len(unknown)} unknown form fields: send purpose and file.", code="unknown_field")
    if "purpose" not in form.fields:
        raise InvalidInput("Field 'purpose' is missing; for training data it is fine-tune.", param="purpose")
    if form.content is None:
        raise InvalidInput("Field 'file' is missing.", param="file")
    record = await services.files.receive(
        _pieces(form.content),
        filename=form.filename,
        purpose=form.fields["purpose"],
        expires_after=expiry_of(form.fields),
    )
    if record.status == "error":
        fatal = (await in_thread(services.files.report, record.id)).fatal
        message = sentence(fatal) if fatal is not None else "The file cannot be trained on; see its report."
        raise RejectedUpload(message, file_id=record.id)
    return record


def expiry_of(fields: dict[str, str]) -> int | None:
    """Seconds after which the file is deleted, if the form says so."""
    if _ANCHOR not in fields and _SECONDS not in fields:
        return None
    seconds = fields.get(_SECONDS, "")
    if fields.get(_ANCHOR, "created_at") != "created_at" or not (seconds.isascii() and seconds.isdigit()):
        raise InvalidInput("expires_after takes anchor=created_at and whole seconds.", param="expires_after")
    return int(seconds[:10])


def _hand_to_worker(record: FileRecord, services: Services, owner: str) -> None:
    """A Parquet file or a large zip is read by a worker; where none can be told, the file is not kept."""
    try:
        services.queue.submit(JobSpec(kind=JobKind.INSPECT, training_file=record.id, owner=owner))
    except ZooError:
        services.files.delete(record.id)
        raise


async def _pieces(content: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := content.read(PIECE_BYTES):
        yield piece
