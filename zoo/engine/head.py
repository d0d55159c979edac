"""From a body's vectors to what a version of it answers: the part of its graph that differs in every version.

On numpy arrays, so that rows of other heads can share the run before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
Activation = Literal["tanh", "relu"]
_ACTIVATIONS: Mapping[Activation, Callable[[FloatArray], FloatArray]] = {
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, np.float32(0)),
}
_INNER = (None, *_ACTIVATIONS)
Layer = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class Readout:
    """How a version reads its body's vectors: pooled over the tokens of ``attention_mask``, or each for itself
    (``pooling`` None); at unit length; through the linear layer in ``head.safetensors``, or as they are.

    ``inner``: what stands between that layer and another one below it, the ``inner`` one of that file.
    """

    pooling: Pooling | None = None
    unit: bool = False
    linear: bool = True
    inner: Activation | None = None

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Readout:
        """As ``as_dict`` wrote it; raises ``ArtifactCorrupt`` for anything else."""
        try:
            found = cls(**written)
        except TypeError:
            found = None
        known = found is not None and found.pooling in (None, "mean", "cls", "max") and found.inner in _INNER
        if found is None or not known:
            raise ArtifactCorrupt("The manifest does not say how the version reads its body: adapt the model again.")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Head:
    """``layers``: weight (inputs, outputs) and bias (outputs,) of each, none where the vectors are the answer."""

    readout: Readout
    layers: tuple[Layer, ...] = ()

    @classmethod
    def read(cls, adapter: Path, readout: Readout) -> Head:
        """From the folder of an adapter; raises ``ArtifactCorrupt`` where it holds no linear layer."""
        if not readout.linear:
            return cls(readout)
        try:
            tensors = read_floats(adapter / HEAD)
            weight, bias = tensors["weight"], tensors["bias"]
            below = [(tensors["inner.weight"], tensors["inner.bias"])] if readout.inner else []
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactCorrupt(f"{HEAD} holds no linear layer: adapt the model again.") from error
        # A layer that learns scores keeps its weights in the unit of their deviation.
        scale, centre = (tensors.get(name, np.float32(value)) for name, value in (("scale", 1.0), ("centre", 0.0)))
        layers = [*below, (weight * scale, np.asarray(bias * scale + centre))]
        if any(one.ndim != 2 or other.shape != one.shape[:1] for one, other in layers):
            raise ArtifactCorrupt(f"{HEAD} holds no linear layer: adapt the model again.")
        return cls(readout, tuple((np.ascontiguousarray(one.T), other) for one, other in layers))

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
        for place, (weight, bias) in enumerate(self.layers):
            if answer.shape[-1] != len(weight):
                raise ArtifactCorrupt(f"The head reads {len(weight)} numbers, the body gives {answer.shape[-1]}.")
            answer = np.asarray(answer @ weight + bias, dtype=np.float32)
            if self.readout.inner is not None and place < len(self.layers) - 1:
                answer = _ACTIVATIONS[self.readout.inner](answer)
        return answer
