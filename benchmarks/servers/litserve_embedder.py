"""LitServe: one worker that runs up to 32 requests together after 5 ms at most.

``BY_HAND=1``: a worker a core, of one thread, and texts of a batch sorted by length and run by four. ``BATCH=1``: no
batching.
"""

from __future__ import annotations

import os
from typing import Any

import litserve  # type: ignore[import-not-found]

from benchmarks.servers.embedder import Embedder
from benchmarks.servers.vector_text import as_text

BY_HAND = os.environ.get("BY_HAND") == "1"
BATCH = int(os.environ.get("BATCH", "32"))


class EmbedderAPI(litserve.LitAPI):  # type: ignore[misc]
    """Requests are lists of texts; a batch is a list of them."""

    def setup(self, device: str) -> None:
        self.embedder = Embedder()

    def decode_request(self, request: dict[str, list[str]]) -> list[str]:
        return request["input"]

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        return inputs

    def unbatch(self, output: list[list[str]]) -> list[list[str]]:
        return output

    def predict(self, batch: Any) -> Any:
        requests: list[list[str]] = batch if BATCH > 1 else [batch]
        texts = [text for request in requests for text in request]
        vectors = iter([as_text(vector) for vector in self.embedder.embed(texts, 4 if BY_HAND else None)])
        answers = [[next(vectors) for _ in request] for request in requests]
        return answers if BATCH > 1 else answers[0]

    def encode_response(self, output: list[str]) -> dict[str, list[str]]:
        return {"data": output}


if __name__ == "__main__":
    api = EmbedderAPI(max_batch_size=BATCH, batch_timeout=0.005 if BATCH > 1 else 0.0, api_path="/embed")
    workers = len(os.sched_getaffinity(0)) if BY_HAND else 1
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
