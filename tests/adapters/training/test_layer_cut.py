"""A network run in two parts answers what it answers in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel

from adapters.training import lora
from adapters.training.hyperparameters import resolve
from adapters.training.layer_cut import LayerCut
from tests.adapters.training.tiny_networks import DEFAULTS, Convolutions, Layers, stirred
from tests.tiny import write_checkpoint

IDS = torch.tensor([[2, 40, 41, 43, 3], [2, 42, 3, 0, 0], [2, 45, 46, 3, 0]])
TEXTS = {"input_ids": IDS, "attention_mask": (IDS > 0).long()}
SIZES: dict[str, dict[str, Any]] = {"bert": {"num_hidden_layers": 4}, "distilbert": {"n_layers": 4}}
DUMMIES = torch.zeros(3, 3, 8, 8)


def pictures() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def runs_of(steps: Sequence[nn.Module]) -> list[int]:
    """Places of the steps whose own layers run from now on, in order."""
    seen: list[int] = []

    def noting(place: int) -> Callable[..., None]:
        return lambda *_: seen.append(place)

    for place, step in enumerate(steps):
        inner = next(module for module in step.modules() if isinstance(module, nn.Linear | nn.Conv2d))
        inner.register_forward_hook(noting(place))
    return seen


@pytest.fixture(scope="module", params=["bert", "distilbert"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, kind=request.param, **SIZES[request.param])
    return AutoModel.from_pretrained(folder).eval()


@pytest.mark.parametrize("cut", [1, 2, 3])
@torch.no_grad()
def test_two_parts_of_a_text_encoder_are_the_whole(encoder: Any, cut: int) -> None:
    parts = LayerCut(lambda: list(lora.blocks(encoder)[1]), cut)
    whole = encoder(**TEXTS).last_hidden_state
    kept = parts.lower(lambda: encoder(**TEXTS))
    assert {name: tuple(values.shape) for name, values in kept.items()} == {"entry": (3, 5, 32)}
    assert torch.equal(parts.upper(kept, lambda: encoder(**TEXTS).last_hidden_state), whole)
    assert torch.equal(encoder(**TEXTS).last_hidden_state, whole)


@pytest.mark.parametrize("cut", [1, 2, 3])
@torch.no_grad()
def test_two_parts_of_a_convolutional_network_are_the_whole_without_its_pictures(cut: int) -> None:
    network = Convolutions()
    parts = LayerCut(network.steps, cut, network.taps)
    whole = network(pictures())
    kept = parts.lower(lambda: network(pictures()))
    assert not torch.allclose(network(DUMMIES), whole)
    assert torch.equal(parts.upper(kept, lambda: network(DUMMIES)), whole)
    assert torch.equal(network(pictures()), whole)


@torch.no_grad()
def test_taps_below_the_cut_are_kept_and_those_above_are_computed() -> None:
    network = Convolutions()
    assert network.taps == (0, 2)
    kept = {cut: LayerCut(network.steps, cut, network.taps).lower(lambda: network(pictures())) for cut in (1, 2, 3)}
    assert {cut: set(values) for cut, values in kept.items()} == {
        1: {"entry", "step0"},
        2: {"entry", "step0"},
        3: {"entry", "step0", "step2"},
    }
    maps = [network.steps()[0](network.stem(pictures()))]
    assert torch.equal(kept[1]["step0"], maps[0]) and torch.equal(kept[1]["entry"], maps[0])


@torch.no_grad()
def test_rows_that_were_kept_apart_can_be_put_together() -> None:
    network = Convolutions()
    parts = LayerCut(network.steps, 2, network.taps)
    apart = [parts.lower(partial(network, pictures()[row : row + 1])) for row in range(3)]
    together = {name: torch.cat([apart[row][name] for row in (2, 0)]) for name in apart[0]}
    answer = parts.upper(together, lambda: network(DUMMIES[:2]))
    torch.testing.assert_close(answer, network(pictures())[[2, 0]])


@torch.no_grad()
def test_each_part_runs_its_own_steps_alone() -> None:
    network = Convolutions()
    parts = LayerCut(network.steps, 2, network.taps)
    seen = runs_of(network.steps())
    kept = parts.lower(lambda: network(pictures()))
    assert seen == [0, 1]
    seen.clear()
    parts.upper(kept, lambda: network(DUMMIES))
    assert seen == [2, 3]


@torch.no_grad()
def test_adapters_of_peft_above_the_cut_are_part_of_the_upper_half() -> None:
    network = Convolutions()
    parts = LayerCut(network.steps, 2, network.taps)
    before = network(pictures())
    kept = parts.lower(lambda: network(pictures()))
    names = lora.targets(network, network.steps(), top=2)
    plan = resolve(DEFAULTS.asked, DEFAULTS.defaults, rows=9, layers=4, max_tokens=None)
    wrapped = stirred(lora.wrap(network, names, plan.ranks, base="x"))
    whole = wrapped(pictures())
    assert not torch.allclose(whole, before)
    assert torch.equal(parts.upper(kept, lambda: wrapped(DUMMIES)), whole)


@pytest.mark.parametrize("style", ["tensors", "tuples", "keywords"])
@torch.no_grad()
def test_steps_may_answer_tuples_and_take_their_input_by_name(style: str) -> None:
    network = Layers(style)
    hidden = torch.randn(3, 6, generator=torch.Generator().manual_seed(4))
    parts = LayerCut(network.steps, 2, (0,))
    whole = network(hidden)
    kept = parts.lower(lambda: network(hidden))
    assert set(kept) == {"entry", "step0"}
    assert torch.equal(parts.upper(kept, lambda: network(torch.zeros(3, 6))), whole)


def test_gradients_reach_what_lies_above_the_cut_alone() -> None:
    network = Convolutions().requires_grad_(True)
    parts = LayerCut(network.steps, 2, network.taps)
    with torch.no_grad():
        kept = parts.lower(lambda: network(pictures()))
    parts.upper(kept, lambda: network(DUMMIES)).square().sum().backward()  # type: ignore[no-untyped-call]
    reached = {name.split(".")[1] for name, weight in network.named_parameters() if weight.grad is not None}
    assert reached == {"2", "3"}
    assert not any(values.requires_grad for values in kept.values())


@pytest.mark.parametrize("part", ["lower", "upper"])
def test_a_pass_that_fails_leaves_the_network_as_it_was(part: str) -> None:
    network = Convolutions()
    parts = LayerCut(network.steps, 2, network.taps)
    whole = network(pictures())
    kept = parts.lower(lambda: network(pictures()))

    def failing() -> Tensor:
        network.steps()[0](torch.zeros(3, 4, 2, 2))
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        parts.lower(failing) if part == "lower" else parts.upper(kept, failing)
    assert torch.equal(network(pictures()), whole)
    for step in network.steps():
        assert "forward" not in vars(step)
        assert not step._forward_hooks and not step._forward_pre_hooks
