"""What every server of the comparison runs: texts to vectors with onnxruntime, as the servers' users write it.

The folder of the model is in ``MODEL_FOLDER``, threads of a run in ``RUN_THREADS`` (0: the runtime's default). Runs in
the servers' own environments, which have nothing of this project.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from benchmarks.servers.vector_text import LIMIT


class Embedder:
    """A session and a tokenizer. Thread-safe."""

    def __init__(self) -> None:
        folder = Path(os.environ["MODEL_FOLDER"])
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("RUN_THREADS", "0"))
        self._session = ort.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(int(os.environ.get("MODEL_LIMIT", str(LIMIT))))

    def embed(self, texts: Sequence[str], together: int | None = None) -> list[NDArray[np.float32]]:
        """One vector for each text: all in one run as they come, or sorted by length and run by ``together``."""
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        if together is None:
            return list(self._run(rows))
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        found: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(rows)
        for start in range(0, len(rows), together):
            places = order[start : start + together]
            for place, vector in zip(places, self._run([rows[place] for place in places]), strict=True):
                found[place] = vector
        return found

    def _run(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(None, {name: known[name] for name in self._inputs})
        weights = mask[:, :, None].astype(np.float32)
        pooled: NDArray[np.float32] = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled
