"""Prediction: one handler at our address and at the one that Hugging Face's client is given."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import prediction
from api.openapi import answers, takes_item
from api.routes.dependencies import RolloutKey, ServicesDep
from api.schemas import PredictRequest
from api.services import in_thread

router = APIRouter(tags=["Predict"])
_EXAMPLE = [[{"label": "delivery", "score": 0.98}, {"label": "refund", "score": 0.02}]]


@router.post(
    prediction.PATH,
    operation_id="predict",
    summary="Predict for one item or a list of items; a picture may be the body itself.",
    openapi_extra=takes_item(PredictRequest),
    responses=answers(_EXAMPLE, "In the Hugging Face shape of the model's task."),
)
async def predict(model_id: str, request: Request, services: ServicesDep, key: RolloutKey = None) -> Response:
    return await prediction.predict(model_id, request, services, key)


@router.post(
    prediction.HF_PATH,
    operation_id="predict_hf",
    summary="The same for Hugging Face's InferenceClient, which is given this address as its model.",
    openapi_extra=takes_item(PredictRequest),
    responses=answers(_EXAMPLE, "In the Hugging Face shape of the model's task."),
)
async def predict_hf(model_id: str, request: Request, services: ServicesDep, key: RolloutKey = None) -> Response:
    return await prediction.predict(model_id, request, services, key)


@router.get("/models/{model_id:path}/health", operation_id="model_health", summary="200 if the model can be asked.")
async def model_health(model_id: str, services: ServicesDep) -> dict[str, str]:
    await in_thread(services.loader.check, model_id)
    return {"status": "ok"}


@router.get("/models/{model_id:path}/info", operation_id="model_info", summary="What is served under this address.")
async def model_info(model_id: str, services: ServicesDep) -> dict[str, Any]:
    entry = await in_thread(services.registry.resolve, model_id)
    known = {"model_id": entry.name, "version": entry.version, "task": entry.task, "precision": entry.precision}
    return known | {"labels": list(entry.labels), "limits": entry.limits}
