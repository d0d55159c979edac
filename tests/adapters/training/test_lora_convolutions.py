"""LoRA beside convolutions: which of them get it, and that merged they answer the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import Tensor, nn

from adapters.training import lora
from adapters.training.hyperparameters import Plan, resolve
from adapters.training.layer_cut import LayerCut
from adapters.training.pictures.body import load_body
from tests.adapters.training.tiny_networks import DEFAULTS, Convolutions, stirred
from tests.tiny_pictures import KINDS, write_picture_checkpoint
from zoo.errors import InvalidInput, Unsupported


class Body(nn.Module):
    """A body whose steps are the given layers, behind a stem that is no step."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList(layers)
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = torch.relu(self.stem(pixels))
        for block in self.blocks:
            hidden = block(hidden)
        return hidden

    def targets(self) -> list[str]:
        return lora.targets(self, list(self.blocks))


def plan() -> Plan:
    return resolve(DEFAULTS.asked, DEFAULTS.defaults, rows=100, layers=4, max_tokens=None)


def pictures() -> Tensor:
    return torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def answer(network: nn.Module) -> Tensor:
    values: Tensor = network(pictures())
    return values


ADAPTABLE: dict[str, Callable[[], nn.Module]] = {
    "1x1": lambda: nn.Conv2d(8, 6, 1),
    "3x3-stride-2": lambda: nn.Conv2d(8, 6, 3, 2, 1),
    "3x3-no-bias": lambda: nn.Conv2d(8, 6, 3, padding=1, bias=False),
    "5x3": lambda: nn.Conv2d(8, 6, (5, 3), (2, 1), (2, 1)),
}
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "depthwise": lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8),
    "grouped": lambda: nn.Conv2d(8, 8, 1, groups=2),
    "dilated": lambda: nn.Conv2d(8, 8, 3, padding=2, dilation=2),
    "dilated-1d": lambda: nn.Conv2d(8, 8, 3, padding=1, dilation=(1, 2)),
    "reflecting": lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
    "transposed": lambda: nn.ConvTranspose2d(8, 8, 2, 2),
    "norm": lambda: nn.BatchNorm2d(8),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_layer_that_lora_cannot_follow_is_never_a_target(kind: str) -> None:
    assert Body(OTHERS[kind](), nn.Conv2d(8, 6, 1)).targets() == ["blocks.1"]
    with pytest.raises(Unsupported) as caught:
        Body(OTHERS[kind]()).targets()
    assert (caught.value.code, caught.value.param) == ("not_adaptable", "model")


@pytest.mark.parametrize("kind", ADAPTABLE)
def test_a_merged_convolution_answers_as_the_one_with_lora_beside_it(kind: str) -> None:
    body = Body(ADAPTABLE[kind]())
    before = answer(body)
    wrapped = lora.wrap(body, body.targets(), plan().ranks, base="x")
    assert torch.equal(answer(wrapped.eval()), before)
    expected = answer(stirred(wrapped))
    assert float((expected - before).abs().max()) > 0.01
    merged = lora.merged(wrapped)
    torch.testing.assert_close(answer(merged), expected, atol=1e-5, rtol=1e-5)
    ((old, new),) = lora.changes(wrapped, merged)
    assert old.shape == new.shape == body.blocks[0].get_parameter("base_layer.weight").shape
    assert not torch.equal(old, new)


def test_a_wrapped_network_takes_its_inputs_by_place_and_by_name() -> None:
    network = Convolutions()
    names = lora.targets(network, network.steps())
    wrapped = stirred(lora.wrap(network, names, plan().ranks, base="x"))
    assert torch.equal(wrapped(pixels=pictures()), wrapped(pictures()))


def test_the_stem_and_other_layers_outside_the_steps_are_left_alone() -> None:
    network = Convolutions()
    assert lora.targets(network, network.steps()) == [f"blocks.{place}.0" for place in range(4)]
    assert lora.targets(network, network.steps(), top=1) == ["blocks.3.0"]
    assert lora.targets(network, network.steps(), wanted=["2.0"]) == ["blocks.2.0"]


def test_layers_to_choose_from_are_named_without_the_number_of_their_step() -> None:
    step = nn.Sequential()
    step.add_module("conv2", nn.Conv2d(8, 8, 1))
    body = Body(step)
    with pytest.raises(InvalidInput, match=r"there are: conv2\.$"):
        lora.targets(body, list(body.blocks), wanted=["conv1"])


def test_a_layer_whose_name_ends_like_a_target_is_no_target() -> None:
    body: Any = Body(nn.Conv2d(8, 6, 1))
    body.neck = nn.ModuleDict({"blocks": nn.ModuleList([nn.Conv2d(6, 6, 3, groups=6)])})
    assert body.targets() == ["blocks.0"]
    wrapped = lora.wrap(body, body.targets(), plan().ranks, base="x")
    adapted = [name for name, module in wrapped.named_modules() if isinstance(module, LoraLayer)]
    assert adapted == ["base_model.model.blocks.0"]


def test_a_saved_adapter_of_convolutions_is_loaded_by_peft_with_the_same_answers(tmp_path: Path) -> None:
    network = Convolutions()
    wrapped = stirred(lora.wrap(network, lora.targets(network, network.steps()), plan().ranks, base="x"))
    head = nn.Sequential(nn.Conv2d(8, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1))
    lora.save(wrapped, head, tmp_path)
    loaded = PeftModel.from_pretrained(Convolutions(), str(tmp_path)).eval()
    assert torch.equal(answer(loaded), answer(wrapped))
    saved = load_file(tmp_path / "head.safetensors")
    assert {name: tuple(values.shape) for name, values in saved.items()} == {
        name: tuple(values.shape) for name, values in head.state_dict().items()
    }


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_every_picture_body_runs_with_lora_beside_its_upper_half_and_merged(tmp_path: Path, kind: str) -> None:
    body = load_body(write_picture_checkpoint(tmp_path, kind))
    pixels = torch.randn(3, 3, *body.size, generator=torch.Generator().manual_seed(1))
    before, cut = body(pixels), len(body.steps()) // 2
    parts = LayerCut(body.steps, cut)
    kept = parts.lower(lambda: body(pixels))
    names = lora.targets(body, body.steps(), top=len(body.steps()) - cut)
    wrapped = stirred(lora.wrap(body, names, plan().ranks, base="x"))
    adapted = {name for name, module in body.named_modules() if isinstance(module, LoraLayer)}
    assert adapted == set(names)
    whole = wrapped(pixels)
    assert not torch.allclose(whole, before, atol=1e-3)
    assert torch.equal(parts.upper(kept, lambda: wrapped(torch.zeros_like(pixels))), whole)
    torch.testing.assert_close(lora.merged(wrapped)(pixels), whole, atol=1e-4, rtol=1e-4)
