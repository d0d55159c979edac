"""Loading a transformers encoder from safetensors alone, and the inputs to try it with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from adapters.training.encoder import encoder_inputs, encoder_width, example_batch, load_weights, text_sizes
from tests.tiny import write_checkpoint
from zoo.errors import InvalidInput


def refused(folder: Path) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        load_weights(AutoModel, folder)
    assert caught.value.code == "invalid_checkpoint"
    assert str(folder) not in caught.value.message
    return caught.value


def test_the_weights_are_those_of_the_file_in_float32(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    saved = load_file(folder / "model.safetensors")
    save_file({name: w.to(torch.bfloat16) for name, w in saved.items()}, folder / "model.safetensors", {"format": "pt"})
    name = "encoder.layer.0.output.dense.weight"
    loaded = load_weights(AutoModel, folder).get_parameter(name)
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded, saved[name].to(torch.bfloat16).float())


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.0.output.dense.bias"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "encoder.layer.0.output.dense.bias" in refused(folder).message


def test_a_missing_pooler_does_not_matter(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    weights = {name: w for name, w in load_file(folder / "model.safetensors").items() if not name.startswith("pooler")}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert load_weights(AutoModel, folder) is not None


@pytest.mark.parametrize("damage", ["cut", "noise", "missing", "other-sizes"])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, damage: str) -> None:
    folder = write_checkpoint(tmp_path)
    path = folder / "model.safetensors"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "noise":
        path.write_bytes(b"noise" * 100)
    elif damage == "missing":
        path.unlink()
    else:
        config = json.loads((folder / "config.json").read_text()) | {"intermediate_size": 128}
        (folder / "config.json").write_text(json.dumps(config))
    refused(folder)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    refused(folder)


@pytest.mark.parametrize(
    ("kind", "options", "inputs"),
    [
        ("bert", {}, ("input_ids", "attention_mask", "token_type_ids")),
        ("bert", {"type_vocab_size": 1}, ("input_ids", "attention_mask")),
        ("distilbert", {}, ("input_ids", "attention_mask")),
    ],
)
def test_types_are_an_input_only_where_there_is_more_than_one(
    tmp_path: Path, kind: str, options: dict[str, Any], inputs: tuple[str, ...]
) -> None:
    folder = write_checkpoint(tmp_path, kind=kind, **options)
    model = load_weights(AutoModel, folder)
    assert encoder_inputs(model) == inputs
    assert encoder_width(AutoConfig.from_pretrained(folder)) == 32


def test_an_example_is_ragged_and_the_same_for_the_same_size() -> None:
    batch = example_batch(100, ("input_ids", "attention_mask"), 3, (9,))
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["attention_mask"].sum(dim=1).tolist() == [9, 6, 3]
    assert int(batch["input_ids"].min()) >= 5 and int(batch["input_ids"].max()) < 100
    again = example_batch(100, ("input_ids", "attention_mask"), 3, (9,))
    assert torch.equal(batch["input_ids"], again["input_ids"])


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (5, 1), (5, 3), (2, 64)])
def test_every_row_of_an_example_has_a_token(rows: int, length: int) -> None:
    mask = example_batch(100, ("attention_mask",), rows, (length,))["attention_mask"]
    assert mask.shape == (rows, length)
    assert int(mask.sum(dim=1).min()) >= 1


@pytest.mark.parametrize("limit", [8, 48, 512])
def test_a_text_encoder_is_tried_with_one_token_with_its_longest_and_with_none_beyond(limit: int) -> None:
    sizes = text_sizes(limit)
    assert {(1,), (limit,)} <= set(sizes)
    assert max(sizes) == (limit,)
    assert 1 < sizes[0][0] <= limit  # this one is traced: one token could be taken for a fixed size
