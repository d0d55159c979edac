"""Which layers get LoRA, that it starts from nothing, and that merged and saved it answers the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModel

from adapters.training import lora
from adapters.training.hyperparameters import Plan, resolve
from tests.adapters.training.tiny_networks import DEFAULTS, stirred
from tests.tiny import write_checkpoint
from zoo.errors import InvalidInput, Unsupported

BATCH = {
    "input_ids": torch.tensor([[2, 40, 41, 3], [2, 42, 3, 0]]),
    "attention_mask": torch.tensor([[1] * 4, [1, 1, 1, 0]]),
}


@pytest.fixture(scope="module", params=["bert", "distilbert"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"), kind=request.param)


@pytest.fixture
def body(checkpoint: Path) -> Any:
    return AutoModel.from_pretrained(checkpoint).eval()


def plan() -> Plan:
    return resolve(DEFAULTS.asked, DEFAULTS.defaults, rows=100, layers=2, max_tokens=48)


def answer(model: nn.Module) -> Tensor:
    with torch.no_grad():
        hidden: Tensor = model(**BATCH).last_hidden_state
    return hidden


def targets(body: nn.Module, **chosen: Any) -> list[str]:
    return lora.targets(body, list(lora.blocks(body)[1]), **chosen)


def trained(body: Any) -> Any:
    """A body whose LoRA matrices are no longer zero."""
    return stirred(lora.wrap(body, targets(body), plan().ranks, base="mini@1"))


def test_the_stack_of_layers_is_found(body: Any) -> None:
    name, layers = lora.blocks(body)
    assert name in ("encoder.layer", "transformer.layer")
    assert len(layers) == 2


def test_a_network_without_a_stack_cannot_be_adapted() -> None:
    with pytest.raises(Unsupported) as caught:
        lora.blocks(nn.Sequential(nn.Linear(2, 2)))
    assert caught.value.code == "not_adaptable"


def test_every_linear_layer_of_the_stack_is_a_target_and_nothing_else(body: Any) -> None:
    names = targets(body)
    assert len(names) == 2 * 6  # query, key, value, output and the two of the feed-forward part
    assert all(name.split(".")[1] == "layer" for name in names)
    assert all(isinstance(body.get_submodule(name), nn.Linear) for name in names)


def test_the_top_layers_alone_can_be_chosen(body: Any) -> None:
    assert {name.split(".")[2] for name in targets(body, top=1)} == {"1"}
    assert targets(body, top=9) == targets(body)


def test_wanted_layers_are_chosen_by_the_end_of_their_name(body: Any) -> None:
    last = targets(body)[0].rpartition(".")[2]
    assert [name.rpartition(".")[2] for name in targets(body, wanted=[last])] == [last] * 2


@pytest.mark.parametrize("entry", ["q_proj", "", "embeddings.word_embeddings", "uery", "x" * 10_000])
def test_a_name_without_a_layer_is_refused_with_those_that_exist(body: Any, entry: str) -> None:
    with pytest.raises(InvalidInput, match="there are: ") as caught:
        targets(body, wanted=[entry])
    assert (caught.value.code, caught.value.param) == ("invalid_hyperparameter", "hyperparameters.target_modules")
    assert len(caught.value.message) < 500


def test_lora_changes_nothing_before_it_is_trained(body: Any) -> None:
    before = answer(body)
    wrapped = lora.wrap(body, targets(body), plan().ranks, base="mini@1").eval()
    assert torch.equal(answer(wrapped), before)


def test_the_lora_matrices_alone_are_trained(body: Any) -> None:
    wrapped = lora.wrap(body, targets(body, top=1), plan().ranks, base="mini@1")
    learning = [name for name, weight in wrapped.named_parameters() if weight.requires_grad]
    assert len(learning) == 2 * 6
    assert all("lora_" in name and ".layer.1." in name for name in learning)


def test_merged_weights_answer_as_the_layers_beside_them(body: Any, checkpoint: Path) -> None:
    wrapped = trained(body)
    expected = answer(wrapped)
    assert float((expected - answer(AutoModel.from_pretrained(checkpoint).eval())).abs().max()) > 0.01
    torch.testing.assert_close(answer(lora.merged(wrapped)), expected, atol=1e-5, rtol=1e-5)


def test_merging_leaves_the_wrapped_body_as_it_is_and_the_copy_plain(body: Any) -> None:
    wrapped = trained(body)
    before = answer(wrapped)
    merged = lora.merged(wrapped)
    assert torch.equal(answer(wrapped), before)
    assert not [name for name, _ in merged.named_parameters() if "lora" in name]
    assert not any(weight.requires_grad for weight in merged.parameters())
    assert not merged.training


def test_a_saved_adapter_is_loaded_by_peft_with_the_same_answers(body: Any, checkpoint: Path, tmp_path: Path) -> None:
    wrapped = trained(body)
    lora.save(wrapped, nn.Linear(32, 3), tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(AutoModel.from_pretrained(checkpoint), str(tmp_path / "adapter")).eval()
    assert torch.equal(answer(loaded), answer(wrapped))


def test_an_adapter_is_saved_as_two_files_of_peft_and_the_head(body: Any, tmp_path: Path) -> None:
    head = nn.Linear(32, 3)
    lora.save(trained(body), head, tmp_path / "adapter")
    files = sorted(path.name for path in (tmp_path / "adapter").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors", "head.safetensors"]
    saved = load_file(tmp_path / "adapter" / "head.safetensors")
    assert torch.equal(saved["weight"], head.weight) and torch.equal(saved["bias"], head.bias)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (4, 8, "mini@1")


def test_half_of_what_was_trained_changes_the_weights_half_as_much(body: Any) -> None:
    wrapped = trained(body)
    whole = [after - before for before, after in lora.changes(wrapped, lora.merged(wrapped))]
    lora.scale(wrapped, 0.5)
    half = [after - before for before, after in lora.changes(wrapped, lora.merged(wrapped))]
    assert all(torch.allclose(2 * one, other, atol=1e-6) for one, other in zip(half, whole, strict=True))


def test_the_mean_of_two_runs_moves_each_weight_by_the_mean_of_both(body: Any) -> None:
    names = targets(body)
    runs, moved = [], []
    for seed in (1, 2):
        wrapped = stirred(lora.wrap(body, names, plan().ranks, base="mini@1"), seed=seed)
        runs.append({name: weight.detach().clone() for name, weight in lora.weights(wrapped)})
        moved.append([after - before for before, after in lora.changes(wrapped, lora.merged(wrapped))])
        body = wrapped.unload()
    both = lora.mean(body, names, plan().ranks, runs, base="mini@1")
    changes = lora.changes(both, lora.merged(both))
    for (before, after), one, other in zip(changes, *moved, strict=True):
        assert not torch.allclose(one, other)
        torch.testing.assert_close(after - before, (one + other) / 2, atol=1e-6, rtol=1e-4)
