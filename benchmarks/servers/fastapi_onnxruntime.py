"""FastAPI around onnxruntime, as most people write it: a plain endpoint, which FastAPI runs in a thread.

``BY_HAND=1``: as many requests at once as there are cores, lists sorted by length and run by four.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.servers.embedder import Embedder
from benchmarks.servers.vector_text import as_text

BY_HAND = os.environ.get("BY_HAND") == "1"


class Texts(BaseModel):
    """What is sent."""

    input: list[str]


def build() -> FastAPI:
    """The application."""
    embedder = Embedder()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if BY_HAND:
            anyio.to_thread.current_default_thread_limiter().total_tokens = len(os.sched_getaffinity(0))
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/embed")
    def embed(texts: Texts) -> dict[str, list[str]]:
        return {"data": [as_text(vector) for vector in embedder.embed(texts.input, 4 if BY_HAND else None)]}

    return app


if __name__ == "__main__":
    uvicorn.run(build(), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
