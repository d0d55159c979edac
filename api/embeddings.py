"""Vectors of texts in OpenAI's form."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from starlette.requests import Request

from api import json_body
from api.answer import Answer
from api.deadline import deadline_of
from api.errors import BadRequest
from api.prediction import count, explained, headers_of, unless_left
from api.schemas import EmbeddingsRequest
from api.services import Serving
from zoo.errors import InvalidInput

PATH = "/v1/embeddings"


async def embed(request: Request, serving: Serving, key: str | None) -> Answer:
    """The vectors of the texts in a request; raises ``ZooError``."""
    body, _ = await json_body.read(request, EmbeddingsRequest)
    texts = texts_of(body, most=serving.settings.max_items)
    until = deadline_of(request.headers, serving.settings)
    work = serving.rollouts.answer(
        body.model, lambda version: serving.loader.embed(version, texts, deadline=until), key=key
    )
    prediction = await unless_left(request, work)
    count(prediction, serving)
    vectors = np.asarray(prediction.body, dtype="<f4")
    if body.dimensions not in (None, vectors.shape[1]):
        raise BadRequest(f"This model gives {vectors.shape[1]} dimensions, no other number.", param="dimensions")
    data = [
        {"object": "embedding", "index": index, "embedding": encoded(vector, body.encoding_format)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": prediction.tokens, "total_tokens": prediction.tokens}
    answer = {"object": "list", "model": body.model, "data": data, "usage": usage}
    return Answer(answer, headers=headers_of(prediction) | explained(request, prediction))


def texts_of(body: EmbeddingsRequest, *, most: int) -> list[str]:
    """The texts of a request; token ids are refused, and so is an empty list, on which OpenAI's client would crash."""
    items = [body.input] if isinstance(body.input, str) else body.input
    if not items:
        raise BadRequest("Send at least one text.", code="batch_size", param="input")
    if len(items) > most:
        raise InvalidInput(f"Send at most {most} texts at once.", code="batch_size", param="input")
    if any(isinstance(item, (int, list)) for item in items):
        raise BadRequest("Token ids are not accepted: send texts.", param="input")
    if not all(isinstance(item, str) for item in items):
        raise InvalidInput("Field 'input' has to be a text or a list of texts.", param="input")
    return items


def encoded(vector: np.ndarray[Any, np.dtype[np.float32]], encoding: str | None) -> str | list[float]:
    """A vector as numbers, or as base64 of little-endian float32."""
    if encoding == "base64":
        return base64.b64encode(vector.tobytes()).decode("ascii")
    return [float(number) for number in vector]
