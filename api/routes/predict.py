"""Prediction: one handler at our address and at the one that Hugging Face's client is given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header
from fastapi.responses import Response, StreamingResponse
from starlette.requests import Request

from api import prediction_request, text_events
from api.answer import Answer
from api.connection_state import LEFT
from api.deadline import deadline_of
from api.direct import ROLLOUT_KEY
from api.errors import ClientLeft
from api.frames import HEADERS
from api.openapi import answers, takes_item
from api.schemas import PredictRequest
from api.services import Services, ServicesDep, in_thread
from zoo.engine.predictor import Prediction
from zoo.errors import InvalidInput

T = TypeVar("T")
RolloutKey = Annotated[
    str | None, Header(alias=ROLLOUT_KEY, description="Requests with the same one get the same side of a rollout.")
]
router = APIRouter(tags=["Predict"])
MOST_EXPLAINED = 32  # runs: a header has to stay below the 8 KB that clients and proxies take
_EXAMPLE = [[{"label": "delivery", "score": 0.98}, {"label": "refund", "score": 0.02}]]


@router.post(
    "/v1/models/{model_id:path}/predict",
    operation_id="predict",
    summary="Predict for one item or a list of items; a picture may be the body itself.",
    openapi_extra=takes_item(PredictRequest),
    responses=answers(_EXAMPLE, "In the Hugging Face shape of the model's task."),
)
async def predict(model_id: str, request: Request, services: ServicesDep, key: RolloutKey = None) -> Response:
    loader, rollouts = services.loader, services.rollouts
    until = deadline_of(request.headers, services.settings)
    asked = await prediction_request.read(request, model_id, services)
    check_batch(asked.inputs, services)
    if asked.stream:
        written = rollouts.relay(
            model_id, lambda version: loader.stream(version, asked.inputs, asked.options), key=key, whole=_whole
        )
        return await _streamed(request, written, services)
    work = rollouts.answer(
        model_id, lambda version: loader.predict(version, asked.inputs, asked.options, deadline=until), key=key
    )
    prediction = await unless_left(request, work)
    count(prediction, services)
    return Answer(prediction.body, headers=headers_of(prediction) | explained(request, prediction))


@router.post(
    "/models/{model_id:path}",
    operation_id="predict_hf",
    summary="The same for Hugging Face's InferenceClient, which is given this address as its model.",
    openapi_extra=takes_item(PredictRequest),
    responses=answers(_EXAMPLE, "In the Hugging Face shape of the model's task."),
)
async def predict_hf(model_id: str, request: Request, services: ServicesDep, key: RolloutKey = None) -> Response:
    return await predict(model_id, request, services, key)


@router.get("/models/{model_id:path}/health", operation_id="model_health", summary="200 if the model can be asked.")
async def model_health(model_id: str, services: ServicesDep) -> dict[str, str]:
    await in_thread(services.loader.check, model_id)
    return {"status": "ok"}


@router.get("/models/{model_id:path}/info", operation_id="model_info", summary="What is served under this address.")
async def model_info(model_id: str, services: ServicesDep) -> dict[str, Any]:
    entry = await in_thread(services.registry.resolve, model_id)
    known = {"model_id": entry.name, "version": entry.version, "task": entry.task, "precision": entry.precision}
    return known | {"labels": list(entry.labels), "limits": entry.limits}


async def _streamed(request: Request, written: AsyncIterator[Prediction], services: Services) -> Response:
    """An error before the first bit is an ordinary answer."""
    first = await unless_left(request, _first(written))

    async def bits() -> AsyncIterator[str]:
        spent = first.run_ms
        yield str(first.body)
        async for bit in written:
            spent += bit.run_ms
            yield str(bit.body)
        count(replace(first, run_ms=spent), services)

    events = text_events.frames(bits())
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS | headers_of(first))


async def _first(written: AsyncIterator[Prediction]) -> Prediction:
    return await anext(written)


def _whole(bits: Sequence[Prediction]) -> Prediction:
    return replace(bits[-1], body="".join(str(bit.body) for bit in bits))


def check_batch(inputs: object, services: Services) -> None:
    """A list holds 1 to ``max_items`` items."""
    most = services.settings.max_items
    if isinstance(inputs, list) and not 1 <= len(inputs) <= most:
        raise InvalidInput(f"Send 1 to {most} items at once.", code="batch_size", param="inputs")


def count(prediction: Prediction, services: Services) -> None:
    """Add an answer to the metrics."""
    seconds = prediction.run_ms / 1000
    services.metrics.count_prediction(
        prediction.entry.name, items=prediction.items, failed=prediction.failed, seconds=seconds
    )


def headers_of(prediction: Prediction) -> dict[str, str]:
    """What every prediction says about itself: model, version, precision, time, and what was cut or failed."""
    headers = {
        "x-model": prediction.entry.name,
        "x-model-version": str(prediction.entry.version),
        "x-precision": prediction.entry.precision,
        "server-timing": f"queue;dur={prediction.queue_ms:.1f}, run;dur={prediction.run_ms:.1f}",
    }
    if prediction.truncated:
        headers["x-truncated"] = str(prediction.truncated)
    if prediction.failed:
        headers["x-item-errors"] = str(prediction.failed)
    return headers


def explained(request: Request, prediction: Prediction) -> dict[str, str]:
    """With ``Explain: 1``: of each run that rows of the request were in how large it was and how long it took.

    ``others`` are rows of other callers; nothing is told of whose they are.
    """
    if request.headers.get("explain") != "1":
        return {}
    runs = [
        {name: round(value, 3) for name, value in asdict(batch).items()}
        for batch in prediction.batches[:MOST_EXPLAINED]
    ]
    return {"x-explain": json.dumps({"batches": len(prediction.batches), "runs": runs})}


async def unless_left(request: Request, work: Awaitable[T]) -> T:
    """The result of ``work``, which is cancelled as soon as the caller closes the connection.

    The connection says so itself: no second task has to wait for it.
    """
    task, left = asyncio.current_task(), False
    assert task is not None

    def leave() -> None:
        nonlocal left
        left = True
        task.cancel()

    request.scope["state"][LEFT] = leave
    try:
        return await work
    except asyncio.CancelledError:
        if left:
            task.uncancel()
            raise ClientLeft from None
        raise
    finally:
        del request.scope["state"][LEFT]
