"""What a version keeps of an adapter made elsewhere: low ranks by the body's own names of modules, and the head.

peft names modules as they are called inside of a whole model (``bert.encoder…``), a body's slots as in the body alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import nn

from adapters.training.form import Form, HubHead, body_prefix
from adapters.training.slot_proof import ServedBy, by_own_graph
from zoo.catalogue.adapter import HEAD, WEIGHTS, LoraAdapter
from zoo.engine.head import Readout

_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Kept:
    """How a version reads its body's vectors, or that it cannot be served by it."""

    readout: Readout | None
    own: ServedBy | None = None


def keep_adapter(adapter: LoraAdapter, model: nn.Module, form: Form, folder: Path, *, base: str) -> Kept:
    """Write an adapter of the body's into ``folder``, and the head as slots are read with it, where it is of that kind.

    ``model`` is the merged one, from which the head is read. Whatever the slots would leave out is a reason for the
    version's own graph.
    """
    head, prefix = form.head(model), body_prefix(model)
    taken = head.modules if head is not None else ()
    inside = [name for name in adapter.pairs if name.startswith(prefix) and name not in taken]
    whole = {name: values for name, values in adapter.head.items() if not _within(name, taken)}
    _write_head(adapter, head, folder)
    if not inside:
        return Kept(None, by_own_graph("its adapter changes no layer of the body"))
    _write_pairs(adapter, inside, prefix, folder, base)
    if head is None:
        return Kept(None, by_own_graph("its head is of a kind that is not read off the body's vectors"))
    left = [name for name in adapter.pairs if name not in (*inside, *taken)]
    if whole or left:
        return Kept(None, by_own_graph(f"{next(iter((*whole, *left)))} is changed, which slots leave as it is"))
    return Kept(head.readout)


def _within(tensor: str, modules: tuple[str, ...]) -> bool:
    return any(tensor.startswith(f"{module}.") for module in modules)


def _write_head(adapter: LoraAdapter, head: HubHead | None, folder: Path) -> None:
    own = {name: torch.from_numpy(values) for name, values in adapter.head.items()}
    tensors = own if head is None else dict(head.tensors)
    if tensors:
        save_file(tensors, str(folder / HEAD))


def _write_pairs(adapter: LoraAdapter, names: list[str], prefix: str, folder: Path, base: str) -> None:
    """peft's two files; each module's scale is told by its own rank and alpha, whatever told it before."""
    ranks = {name.removeprefix(prefix): len(adapter.pairs[name][0]) for name in names}
    alphas = {name.removeprefix(prefix): adapter.scales[name] * len(adapter.pairs[name][0]) for name in names}
    rank, alpha = max(ranks.values()), next(iter(alphas.values()))
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        rank_pattern={f"^{name}": one for name, one in ranks.items() if one != rank},
        alpha_pattern={f"^{name}": one for name, one in alphas.items() if one != alpha},
        target_modules=sorted(ranks),
        base_model_name_or_path=base,
        inference_mode=True,
    )
    config.save_pretrained(str(folder))
    tensors = {
        f"{_PREFIX}{name.removeprefix(prefix)}.lora_{side}.weight": torch.from_numpy(values).contiguous()
        for name in names
        for side, values in zip("AB", adapter.pairs[name], strict=True)
    }
    save_file(tensors, str(folder / WEIGHTS))
