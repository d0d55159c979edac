"""What every layout is read into: a network up to its pooled vector, and what the checkpoint says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.catalogue.hub_layout import unfit
from zoo.catalogue.sources.shards import WHOLE, weight_files
from zoo.errors import InvalidInput
from zoo.tasks.processors.image import Preprocessing

__all__ = ["Parts", "WEIGHTS_FILE", "fill", "named_labels", "numbered_labels", "read_weights", "unfit"]

WEIGHTS_FILE = WHOLE


@dataclass(frozen=True)
class Parts:
    """``network.pooled(pixels)`` is (batch, width): what ``classifier``, which is not inside it, sees.

    ``steps`` name submodules of the network that run one after the other on one tensor. ``labels`` are the classes of
    the classifier in order, none where there is none. ``mirrored``: what is classified is the mean over the picture and
    its mirror image (Simonyan and Zisserman, "Very Deep Convolutional Networks …", 2014, section 3.2).
    """

    network: nn.Module
    steps: tuple[str, ...]
    classifier: nn.Linear | None
    labels: tuple[str, ...]
    architecture: str
    preprocessing: Preprocessing
    function_to_apply: str = "softmax"
    mirrored: bool = False


def read_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Tensors of the checkpoint by name, float32 whatever they are stored as; raises ``InvalidInput``."""
    stored: dict[str, Tensor] = {}
    try:
        for path in weight_files(checkpoint):
            stored |= load_file(path)
    except (OSError, SafetensorError) as error:
        message = f"The checkpoint has no {WEIGHTS_FILE} that can be read whole."
        raise InvalidInput(message, code="invalid_checkpoint") from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}


def fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put the weights into a network made on the device ``meta``, which has shapes but no memory yet.

    Raises ``InvalidInput`` (``invalid_checkpoint``) that names one weight that is missing, of another shape, or of no
    use to the network. BatchNorm's counters may be missing: nothing reads them.
    """
    wanted = network.state_dict()
    counters = {name: torch.tensor(0) for name in wanted if name.endswith(".num_batches_tracked")}
    given = {**counters, **weights}
    missing, extra = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing:
        raise unfit(f"lacks weights for {len(missing)} parts, such as {missing[0]}")
    if extra:
        raise unfit(f"has weights for {len(extra)} parts that its architecture lacks, such as {extra[0]}")
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape:
            raise unfit(f"has {name} of the shape {list(given[name].shape)} where {list(tensor.shape)} is needed")
    network.load_state_dict(given, assign=True)


def numbered_labels(count: int) -> tuple[str, ...]:
    """``LABEL_0`` and so on, as transformers names classes without names."""
    return tuple(f"LABEL_{place}" for place in range(count))


def named_labels(names: Any, count: int, *, field: str) -> tuple[str, ...]:
    """The names of all classes from a list, or from a dict by place; raises ``InvalidInput`` if one has none."""
    if isinstance(names, Mapping):
        names = [names.get(place, names.get(str(place))) for place in range(count)]
    if not isinstance(names, list) or len(names) != count or not all(isinstance(name, str) and name for name in names):
        raise unfit(f"has a {field} that does not name its {count} classes")
    return tuple(names)
