"""Probes and metrics: whether the process lives, whether to send it requests, and what it counts."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from api.metrics import CONTENT_TYPE
from api.routes.dependencies import ServicesDep
from api.services import in_thread

router = APIRouter(tags=["Health"])


@router.get("/livez", operation_id="livez", summary="Is the process alive? Touches nothing.")
async def livez() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", operation_id="readyz", summary="Should requests be sent here? 503 with reasons if not.")
async def readyz(services: ServicesDep) -> JSONResponse:
    reasons = await in_thread(services.readiness.reasons)
    status = "ready" if not reasons else "not ready"
    return JSONResponse({"status": status, "reasons": reasons}, 503 if reasons else 200)


@router.get("/health", operation_id="health", summary="The same as /readyz.")
async def health(services: ServicesDep) -> JSONResponse:
    return await readyz(services)


@router.get("/metrics", operation_id="metrics", summary="Counters in Prometheus' text form.")
async def metrics(services: ServicesDep) -> Response:
    return Response(await in_thread(services.metrics.exposition), headers={"content-type": CONTENT_TYPE})
