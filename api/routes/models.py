"""Models: what there is, what one is, bringing one in, naming versions, taking one away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request

from api import json_body, model_import
from api.errors import MethodNotAllowed
from api.idempotency import IdempotencyKey, submit
from api.job_object import job_object
from api.model_object import Imports, detailed, listed
from api.openapi import answers, takes
from api.routes.dependencies import ServicesDep
from api.schemas import AliasRequest, ImportRequest
from api.services import Services, in_thread
from zoo.catalogue.reference import parse_reference
from zoo.errors import ModelNotFound

router = APIRouter(tags=["Models"])
_MODEL = {"id": "minilm", "object": "model", "created": 1700000000, "owned_by": "adaptzoo", "status": "ready"}
Filter = Annotated[str | None, Query(max_length=200)]


@router.get(
    "/v1/models",
    operation_id="list_models",
    summary="All models: ready to be asked, or available to be imported.",
    responses=answers({"object": "list", "data": [_MODEL]}, "All models, by name; with q the best match first."),
)
async def list_models(services: ServicesDep, task: Filter = None, modality: Filter = None, q: Filter = None) -> Any:
    def work() -> list[dict[str, Any]]:
        imports = Imports(services.jobs)
        found = services.registry.listings(task=task, modality=modality, words=q)
        return [listed(listing, imports) for listing in found]

    return JSONResponse({"object": "list", "data": await in_thread(work)})


@router.post(
    "/v1/models",
    operation_id="import_model",
    summary="Bring a model of the catalogue, or one from a source of your own, into the zoo.",
    status_code=202,
    openapi_extra=takes(ImportRequest),
    responses=answers({"id": "ftjob-abc", "object": "job", "kind": "import", "status": "queued"}, "The job.", 202),
)
async def import_model(request: Request, services: ServicesDep, key: IdempotencyKey = None) -> JSONResponse:
    body, raw = await json_body.read(request, ImportRequest)
    spec = await in_thread(model_import.specify, body, services, request.scope["state"]["owner"])
    running = await in_thread(model_import.running, spec, services)
    if running is not None and key is None:
        return JSONResponse(job_object(running), 202)
    return await submit(spec, services, key=key, body=raw)


@router.put(
    "/v1/models/{name}/aliases/{alias}",
    operation_id="set_alias",
    summary="Point an alias, for example live, to a version.",
    openapi_extra=takes(AliasRequest),
    responses=answers({"id": "tickets", "aliases": {"live": 2}}, "The aliases of the model."),
)
async def set_alias(name: str, alias: str, request: Request, services: ServicesDep) -> JSONResponse:
    body, _ = await json_body.read(request, AliasRequest)
    await in_thread(services.store.set_alias, name, alias, body.version)
    aliases = await in_thread(services.store.aliases, name)
    return JSONResponse({"id": name, "aliases": aliases})


@router.get(
    "/v1/models/{model_id:path}",
    operation_id="retrieve_model",
    summary="One model, or one version of it (name@3, name@live).",
    responses=answers(_MODEL, "The model with its labels, limits, metrics, parity, lineage and files."),
)
async def retrieve_model(model_id: str, services: ServicesDep) -> JSONResponse:
    if model_id.endswith("/predict"):
        raise MethodNotAllowed("POST")
    return JSONResponse(await in_thread(_detail, model_id, services))


@router.delete(
    "/v1/models/{model_id:path}",
    operation_id="delete_model",
    summary="Delete a model, or one version of it; version numbers are never given out again.",
    responses=answers({"id": "tickets", "object": "model", "deleted": True}, "Deleted."),
)
async def delete_model(model_id: str, services: ServicesDep) -> JSONResponse:
    await in_thread(_delete, model_id, services)
    return JSONResponse({"id": model_id, "object": "model", "deleted": True})


def _detail(model_id: str, services: Services) -> dict[str, Any]:
    reference = parse_reference(model_id)
    listing = services.registry.listing(reference.name)
    named = reference.version is not None or reference.alias is not None
    entry = services.registry.resolve(model_id) if named else listing.current
    served = services.loader.running(entry) if entry is not None else None
    return detailed(listing, entry, Imports(services.jobs), served) | ({"id": model_id} if named else {})


def _delete(model_id: str, services: Services) -> None:
    reference = parse_reference(model_id)
    version = reference.version
    if reference.alias is not None:
        version = services.registry.resolve(model_id).version
    if not services.registry.listing(reference.name).versions and reference.name not in services.store.names():
        raise ModelNotFound(f"{reference.name} is in the catalogue but not in the store: nothing to delete.")
    services.store.delete(reference.name, version)
    services.loader.unload(reference.name if version is None else f"{reference.name}@{version}")
