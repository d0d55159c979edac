"""Predictions: what is asked, the answer of a version, and what it says about itself in headers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import asdict, replace
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import prediction_request, text_events
from api.answer import Answer
from api.connection_state import LEFT
from api.deadline import deadline_of
from api.errors import ClientLeft
from api.frames import HEADERS
from api.services import Serving
from zoo.engine.predictor import Prediction
from zoo.errors import DeadlineExceeded, InvalidInput

T = TypeVar("T")
PATH, HF_PATH = "/v1/models/{model_id:path}/predict", "/models/{model_id:path}"
MOST_EXPLAINED = 32  # runs: a header has to stay below the 8 KB that clients and proxies take


async def predict(model_id: str, request: Request, serving: Serving, key: str | None) -> Response:
    """The answer to a prediction; raises ``ZooError``."""
    loader, rollouts = serving.loader, serving.rollouts
    until = deadline_of(request.headers, serving.settings)
    asked = await prediction_request.read(request, model_id, serving)
    check_batch(asked.inputs, serving)
    if asked.stream:
        written = rollouts.relay(
            model_id,
            lambda version: loader.stream(version, asked.inputs, asked.options, deadline=until),
            key=key,
            whole=_whole,
        )
        return await _streamed(request, written, until, serving)
    work = rollouts.answer(
        model_id, lambda version: loader.predict(version, asked.inputs, asked.options, deadline=until), key=key
    )
    prediction = await unless_left(request, work)
    count(prediction, serving)
    return Answer(prediction.body, headers=headers_of(prediction) | explained(request, prediction))


async def _streamed(request: Request, written: AsyncIterator[Prediction], until: float, serving: Serving) -> Response:
    """An error before the first bit is an ordinary answer."""
    first = await unless_left(request, _first(written, until))

    async def bits() -> AsyncIterator[str]:
        spent = first.run_ms
        yield str(first.body)
        async for bit in written:
            spent += bit.run_ms
            yield str(bit.body)
        count(replace(first, run_ms=spent), serving)

    events = text_events.frames(bits())
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS | headers_of(first))


async def _first(written: AsyncIterator[Prediction], until: float) -> Prediction:
    try:
        async with asyncio.timeout(until - time.monotonic()):
            return await anext(written)
    except TimeoutError:
        raise DeadlineExceeded("The answer did not begin within the time that was given. Ask again later.") from None


def _whole(bits: Sequence[Prediction]) -> Prediction:
    return replace(bits[-1], body="".join(str(bit.body) for bit in bits))


def check_batch(inputs: object, serving: Serving) -> None:
    """A list holds 1 to ``max_items`` items."""
    most = serving.settings.max_items
    if isinstance(inputs, list) and not 1 <= len(inputs) <= most:
        raise InvalidInput(f"Send 1 to {most} items at once.", code="batch_size", param="inputs")


def count(prediction: Prediction, serving: Serving) -> None:
    """Add an answer to the metrics."""
    seconds = prediction.run_ms / 1000
    serving.metrics.count_prediction(
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
