"""LoRA with peft: which layers get it, how it is merged, and how it is saved so that peft loads it as it is.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021.
"""

from __future__ import annotations

import copy
import inspect
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn

from adapters.training.hyperparameters import Ranks
from zoo.catalogue.adapter import CONFIG
from zoo.errors import InvalidInput, Unsupported

HEAD_FILE = "head.safetensors"


def blocks(body: nn.Module) -> tuple[str, nn.ModuleList]:
    """Name and layers of the largest stack of repeated blocks; raises ``Unsupported`` when there is none."""
    stacks = [(name, module) for name, module in body.named_modules() if isinstance(module, nn.ModuleList)]
    if not stacks:
        raise Unsupported("This architecture has no stack of layers to adapt.", code="not_adaptable", param="model")
    return max(stacks, key=lambda stack: sum(weight.numel() for weight in stack[1].parameters()))


def targets(
    body: nn.Module, steps: Sequence[nn.Module], *, top: int | None = None, wanted: Sequence[str] | None = None
) -> list[str]:
    """Full names of the layers inside the body's steps (the last ``top`` of them) that LoRA can stand beside.

    ``wanted`` keeps those whose name ends with one of its entries; ``InvalidInput`` for an entry without a match.
    Raises ``Unsupported`` for a body without such layers.
    """
    chosen = steps if top is None else steps[max(0, len(steps) - top) :]
    inside = {id(module) for step in chosen for module in step.modules() if _adaptable(module)}
    found = [name for name, module in body.named_modules() if id(module) in inside]
    if not found:
        raise Unsupported("This architecture has no layers that LoRA can adapt.", code="not_adaptable", param="model")
    if wanted is None:
        return found
    for entry in wanted:
        if not any(_ends_with(name, entry) for name in found):
            known = ", ".join(sorted({_within(name) for name in found}))
            message = f"target_modules has an entry that names no layer which LoRA can adapt; there are: {known[:300]}."
            raise InvalidInput(message, code="invalid_hyperparameter", param="hyperparameters.target_modules")
    return [name for name in found if any(_ends_with(name, entry) for entry in wanted)]


def _adaptable(module: nn.Module) -> bool:
    """Linear layers and plain convolutions: peft forgets dilation and padding mode, and groups cannot be merged."""
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros"
    return isinstance(module, nn.Linear)


def _within(name: str) -> str:
    """A layer's name without the stack and the number of its block."""
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[numbers[0] + 1 :] if numbers and numbers[0] + 1 < len(parts) else parts)


def _ends_with(name: str, entry: str) -> bool:
    return name == entry or name.endswith(f".{entry}")


def wrap(body: nn.Module, names: Sequence[str], ranks: Ranks, *, base: str) -> PeftModel:
    """Put LoRA beside the named layers; A is random, B zero, so that nothing changes yet.

    ``base`` is what ``adapter_config.json`` calls the model to load below the adapter.
    """
    # with a type of task peft hands every input on as one of a text's
    textual = "input_ids" in inspect.signature(body.forward).parameters
    config = LoraConfig(
        r=ranks.rank,
        lora_alpha=ranks.alpha,
        lora_dropout=ranks.dropout,
        target_modules=list(names),
        exclude_modules=unmeant(body, names),
        bias="none",
        task_type=TaskType.FEATURE_EXTRACTION if textual else None,
    )
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 for an attribute under its old name
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = get_peft_model(body, config)
    wrapped.peft_config["default"].base_model_name_or_path = base
    for layer in wrapped.modules():
        if isinstance(layer, LoraLayer):
            layer.cast_input_dtype_enabled = False  # autocast would cast what was cast to float32 back to bfloat16
            if isinstance(inner := layer.get_base_layer(), nn.Conv2d):
                # MobileNetV2 of transformers pads by what it reads from its convolutions
                layer.stride, layer.kernel_size, layer.dilation = inner.stride, inner.kernel_size, inner.dilation
    return wrapped


def unmeant(body: nn.Module, names: Sequence[str]) -> list[str] | None:
    """Modules whose names end with one of those that are meant: peft would take them, too."""
    others = [name for name, _ in body.named_modules() if any(name.endswith(f".{chosen}") for chosen in names)]
    return sorted(set(others) - set(names)) or None


def weights(wrapped: PeftModel) -> Iterator[tuple[str, nn.Parameter]]:
    """A and B of each adapted layer, with their names."""
    return ((name, weight) for name, weight in wrapped.named_parameters() if "lora_" in name)


@torch.no_grad()
def mean(
    body: nn.Module, names: Sequence[str], ranks: Ranks, runs: Sequence[Mapping[str, torch.Tensor]], *, base: str
) -> PeftModel:
    """``wrap`` with the mean of what several runs with ``ranks`` made of A and B (``weights`` of each).

    Every run keeps its ranks: as many times the rank with the same alpha is exactly the mean of the products.
    """
    wrapped = wrap(body, names, replace(ranks, rank=ranks.rank * len(runs)), base=base)
    for name, weight in weights(wrapped):
        weight.copy_(torch.cat([run[name] for run in runs], dim=0 if "lora_A" in name else 1))
    return wrapped


@torch.no_grad()
def scale(wrapped: PeftModel, share: float) -> None:
    """Make ``B A`` that much of what it is."""
    for name, weight in weights(wrapped):
        if "lora_B" in name:
            weight.mul_(share)


def merged(wrapped: PeftModel) -> nn.Module:
    """A copy of the body with ``W + scale · B A`` in place of W: the same answers without extra layers."""
    body: nn.Module = copy.deepcopy(wrapped).merge_and_unload(safe_merge=True)
    return body.eval().requires_grad_(False)


def changes(wrapped: PeftModel, body: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each adapted weight before and after, from a wrapped body and its merged copy."""
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    for name, module in wrapped.named_modules():
        if isinstance(module, LoraLayer):
            before = wrapped.get_submodule(f"{name}.base_layer").get_parameter("weight")
            after = body.get_submodule(name.removeprefix("base_model.model.")).get_parameter("weight")
            pairs.append((before, after))
    return pairs


def save(wrapped: PeftModel, head: nn.Module, folder: Path) -> None:
    """Write peft's two files, and the head if there is one; a linear one has ``weight`` (labels, width), ``bias``."""
    # With "auto" peft asks the hub whether the vocabulary was resized; embeddings are never adapted here.
    wrapped.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty card; the version has a card of its own
    config = json.loads((folder / CONFIG).read_text())
    config["auto_mapping"] = None  # names a Python module of this project, which no reader of adapters should import
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    weights = {name: value.detach().to(torch.float32).contiguous() for name, value in head.state_dict().items()}
    if weights:
        save_file(weights, str(folder / HEAD_FILE))
