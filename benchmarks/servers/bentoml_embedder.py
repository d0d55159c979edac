"""BentoML: adaptive batches of at most 32 texts. ``BY_HAND=1``: a worker a core, of one thread, run by four.

Started by `bentoml serve benchmarks.servers.bentoml_embedder:EmbedderService`.
"""

from __future__ import annotations

import os

import bentoml  # type: ignore[import-not-found]

from benchmarks.servers.embedder import Embedder
from benchmarks.servers.vector_text import as_text

BY_HAND = os.environ.get("BY_HAND") == "1"
WORKERS = len(os.sched_getaffinity(0)) if BY_HAND else 1


@bentoml.service(workers=WORKERS, traffic={"timeout": 60})
class EmbedderService:
    """A list of texts to a list of vectors, each in base64."""

    def __init__(self) -> None:
        self.embedder = Embedder()

    @bentoml.api(batchable=True, max_batch_size=32, route="/embed")  # type: ignore[untyped-decorator]
    def embed(self, input: list[str]) -> list[str]:  # the name is the field of the request
        return [as_text(vector) for vector in self.embedder.embed(input, 4 if BY_HAND else None)]
