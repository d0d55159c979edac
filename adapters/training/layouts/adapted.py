"""A small version beside the network it was learnt on: peft's adapter, a linear head, the names of its classes.

Starters on large bodies are kept so: ``config.json`` and the folder ``adapter`` ship, the body is fetched. That
configuration is the body's own, too, where the body is in hub layout.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn

from adapters.training import lora
from adapters.training.checkpoint import ADAPTER, read_json
from adapters.training.layouts.parts import named_labels, unfit
from zoo.catalogue.adapter import LoraAdapter


def merge(body: nn.Module, checkpoint: Path) -> None:
    """Add to the body's weights what the adapter beside it has learnt; raises ``InvalidInput`` if it does not fit."""
    adapter = LoraAdapter.read(checkpoint / ADAPTER)
    weights = dict(body.named_parameters())
    for module in adapter.pairs:
        weight, delta = weights.get(f"{module}.weight"), torch.from_numpy(adapter.delta(module))
        if weight is None or weight.shape not in (delta.shape, (*delta.shape, 1, 1)):
            raise unfit(f"has an adapter for {module[:64]}, which its body lacks or has in another shape")
        weight.data.add_(delta.view_as(weight))


def read_head(checkpoint: Path, width: int) -> tuple[nn.Linear, tuple[str, ...]]:
    """The head on ``width`` numbers and the names of its classes; raises ``InvalidInput`` if they do not fit."""
    head = read_layer(checkpoint, width)
    names = read_json(checkpoint / "config.json").get("label_names")
    return head, named_labels(names, head.out_features, field="label_names")


def read_layer(checkpoint: Path, width: int) -> nn.Linear:
    """The head alone, for tasks whose answers have no names."""
    tensors = LoraAdapter.read(checkpoint / ADAPTER).head
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    count = shapes.get("bias", (0,))[0]
    if not count or shapes != {"weight": (count, width), "bias": (count,)}:
        raise unfit("has no linear head for its body in head.safetensors")
    head = nn.Linear(width, count)
    head.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    return head.requires_grad_(False)


def fill_head(checkpoint: Path, head: nn.Module) -> None:
    """Put what was learnt beside an adapter into a head of more than one layer; raises ``InvalidInput`` if it does
    not fit."""
    tensors = {name: torch.from_numpy(tensor) for name, tensor in LoraAdapter.read(checkpoint / ADAPTER).head.items()}
    expected = {name: tensor.shape for name, tensor in head.state_dict().items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise unfit("has no head for its body in head.safetensors")
    head.load_state_dict(tensors)


def write_adapted(folder: Path, wrapped: PeftModel, head: nn.Module, *, labels: Sequence[str], **config: Any) -> None:
    """Write adapter, head and ``config.json``, weights in float16; ``config`` goes into the latter."""
    lora.save(wrapped, head, folder / ADAPTER)
    for path in (folder / ADAPTER).glob("*.safetensors"):
        save_file({name: tensor.half() for name, tensor in load_file(path).items()}, str(path))
    written = {**config, "label_names": list(labels)}
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
