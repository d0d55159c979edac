"""From a body's vectors to what a version of it answers: the part of its graph that differs in every version.

On numpy arrays, so that rows of other heads can share the run before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zoo.catalogue.adapter import HEAD
from zoo.catalogue.tensors import FloatArray, read_floats
from zoo.engine.session import Array
from zoo.errors import ArtifactCorrupt
from zoo.tasks import ops

Pooling = Literal["mean", "cls", "max"]


@dataclass(frozen=True)
class Readout:
    """How a version reads its body's vectors: pooled over the tokens of ``attention_mask``, or each for itself
    (``pooling`` None); at unit length; through the linear layer in ``head.safetensors``, or as they are."""

    pooling: Pooling | None = None
    unit: bool = False
    linear: bool = True

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Readout:
        """As ``as_dict`` wrote it; raises ``ArtifactCorrupt`` for anything else."""
        try:
            found = cls(**written)
        except TypeError:
            found = None
        if found is None or found.pooling not in (None, "mean", "cls", "max"):
            raise ArtifactCorrupt("The manifest does not say how the version reads its body: adapt the model again.")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Head:
    """``weight`` (width, outputs) and ``bias`` (outputs,), None where the vectors are the answer."""

    readout: Readout
    weight: FloatArray | None = None
    bias: FloatArray | None = None

    @classmethod
    def read(cls, adapter: Path, readout: Readout) -> Head:
        """From the folder of an adapter; raises ``ArtifactCorrupt`` where it holds no linear layer."""
        if not readout.linear:
            return cls(readout)
        try:
            tensors = read_floats(adapter / HEAD)
            weight, bias = tensors["weight"], tensors["bias"]
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactCorrupt(f"{HEAD} holds no linear layer: adapt the model again.") from error
        # A layer that learns scores keeps its weights in the unit of their deviation.
        scale, centre = (tensors.get(name, np.float32(value)) for name, value in (("scale", 1.0), ("centre", 0.0)))
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise ArtifactCorrupt(f"{HEAD} holds no linear layer: adapt the model again.")
        return cls(readout, np.ascontiguousarray((weight * scale).T), np.asarray(bias * scale + centre))

    def __call__(self, vectors: Array, feeds: Mapping[str, Array]) -> FloatArray:
        """The answers to some rows, from the body's (rows, …, width) and what it was given for the same rows.

        Raises ``ArtifactCorrupt`` for vectors of another width.
        """
        answer = np.asarray(vectors, dtype=np.float32)
        if self.readout.pooling is not None:
            if answer.ndim != 3:
                raise ArtifactCorrupt("The body answers with one vector for each text, where its tokens' are read.")
            answer = ops.pool(answer, feeds["attention_mask"].astype(np.int64), self.readout.pooling)
        if self.readout.unit:
            answer = ops.normalise(answer)
        if self.weight is None or self.bias is None:
            return answer
        if answer.shape[-1] != len(self.weight):
            raise ArtifactCorrupt(f"The head reads {len(self.weight)} numbers, the body gives {answer.shape[-1]}.")
        return np.asarray(answer @ self.weight + self.bias, dtype=np.float32)
