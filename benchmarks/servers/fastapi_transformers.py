"""FastAPI around transformers and torch: the checkpoint's own classes, a plain endpoint.

``BY_HAND=1``: torch with one thread, as many requests at once as there are cores, lists sorted by length and run by
four.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio.to_thread
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModel, AutoTokenizer

from benchmarks.servers.vector_text import LIMIT, as_text

BY_HAND = os.environ.get("BY_HAND") == "1"


class Texts(BaseModel):
    """What is sent."""

    input: list[str]


class Encoder:
    """A checkpoint, loaded. Thread-safe."""

    def __init__(self, folder: str) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModel.from_pretrained(folder).eval()

    def embed(self, texts: Sequence[str]) -> list[str]:
        """Mean-pooled vectors of length one, all texts in one run."""
        limit = int(os.environ.get("MODEL_LIMIT", str(LIMIT)))
        with torch.inference_mode():
            feeds = self._tokenizer(list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt")
            hidden = self._model(**feeds).last_hidden_state
            mask = feeds["attention_mask"].unsqueeze(-1)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
            vectors = torch.nn.functional.normalize(pooled).numpy()
        return [as_text(np.asarray(vector, dtype=np.float32)) for vector in vectors]


def build() -> FastAPI:
    """The application."""
    if BY_HAND:
        torch.set_num_threads(1)
    encoder = Encoder(os.environ["CHECKPOINT"])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if BY_HAND:
            anyio.to_thread.current_default_thread_limiter().total_tokens = len(os.sched_getaffinity(0))
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/embed")
    def embed(texts: Texts) -> dict[str, list[str]]:
        if not BY_HAND:
            return {"data": encoder.embed(texts.input)}
        order = sorted(range(len(texts.input)), key=lambda place: len(texts.input[place]))
        found = [""] * len(order)
        for start in range(0, len(order), 4):
            places = order[start : start + 4]
            for place, vector in zip(places, encoder.embed([texts.input[one] for one in places]), strict=True):
                found[place] = vector
        return {"data": found}

    return app


if __name__ == "__main__":
    uvicorn.run(build(), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
