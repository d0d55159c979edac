"""MLServer: adaptive batches of at most 32 texts. ``BY_HAND=1``: a worker a core, of one thread, run by four.

As a program it writes the server's settings into a folder and starts it there.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import StringCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]

from benchmarks.servers.embedder import Embedder
from benchmarks.servers.vector_text import as_text

BY_HAND = os.environ.get("BY_HAND") == "1"


class EmbedderModel(MLModel):  # type: ignore[misc]
    """A tensor of texts to a tensor of vectors, each in base64."""

    async def load(self) -> bool:
        self.embedder = Embedder()
        return True

    async def predict(self, payload: Any) -> Any:
        request: InferenceRequest = payload
        texts = StringCodec.decode_input(request.inputs[0])
        vectors = [as_text(vector) for vector in self.embedder.embed(texts, 4 if BY_HAND else None)]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("data", vectors)])


def main() -> None:
    """Write the settings and become the server."""
    folder = Path(tempfile.mkdtemp(prefix="mlserver-"))
    port = int(os.environ["PORT"])
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": len(os.sched_getaffinity(0)) if BY_HAND else 1,
    }
    model = {
        "name": "embedder",
        "implementation": "benchmarks.servers.mlserver_embedder.EmbedderModel",
        "max_batch_size": 32,
        "max_batch_time": 0.005,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    os.chdir(folder)
    program = Path(sys.executable).with_name("mlserver")
    os.execv(program, [str(program), "start", str(folder)])


if __name__ == "__main__":
    main()
