"""Embeddings in OpenAI's form."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import embeddings
from api.openapi import answers, takes
from api.routes.dependencies import RolloutKey, ServicesDep
from api.schemas import EmbeddingsRequest

router = APIRouter(tags=["Predict"])
_EXAMPLE = {
    "object": "list",
    "model": "minilm",
    "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAEA="}],
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}


@router.post(
    embeddings.PATH,
    operation_id="create_embeddings",
    summary="Turn texts into vectors.",
    openapi_extra=takes(EmbeddingsRequest),
    responses=answers(_EXAMPLE, "One vector for each text, in order."),
)
async def create_embeddings(request: Request, services: ServicesDep, key: RolloutKey = None) -> Response:
    return await embeddings.embed(request, services, key)
