"""An adapter and a head beside the body that they were learnt on are imported, served and adapted further."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapters.jobs import Hyperparameters
from adapters.training import lora
from adapters.training.checkpoint import infer_task
from adapters.training.hyperparameters import resolve
from adapters.training.layouts.adapted import write_adapted
from adapters.training.recipe import Batch, load_recipe
from adapters.training.sounds.body import load_body
from adapters.training.sounds.classification import SoundAdaptation
from tests.tiny_whisper import tiny_whisper, write_ctranslate2
from zoo.errors import InvalidInput

TASK = "audio-classification"
LABELS = ("no", "yes")


@pytest.fixture
def recogniser(tmp_path: Path) -> Path:
    return write_ctranslate2(tmp_path / "recogniser", tiny_whisper())


def written(recogniser: Path, folder: Path) -> tuple[SoundAdaptation, Path]:
    """A version with an adapter that changes something, and its folder with the recogniser's weights beside."""
    torch.manual_seed(1)
    adaptation = SoundAdaptation(load_body(recogniser), LABELS, architecture="whisper")
    plan = resolve(Hyperparameters(), adaptation.defaults, rows=10, layers=3, max_tokens=None)
    names = lora.targets(adaptation.body, adaptation.steps(), top=2)
    wrapped = lora.wrap(adaptation.body, names, plan.ranks, base="recogniser")
    with torch.no_grad():
        for weight in [*wrapped.parameters(), *adaptation.head.parameters()]:
            if weight.requires_grad:
                weight.copy_((0.1 * torch.randn_like(weight)).half())
    write_adapted(folder, wrapped, adaptation.head, labels=LABELS, architecture="whisper", task=TASK)
    shutil.copy(recogniser / "model.bin", folder)
    adaptation.network.body = lora.merged(wrapped)
    return adaptation, folder


def clips(adaptation: SoundAdaptation) -> Batch:
    servable = adaptation.servable()
    return servable.example(3, (46,))


def test_it_answers_as_the_version_that_was_written(recogniser: Path, tmp_path: Path) -> None:
    adaptation, folder = written(recogniser, tmp_path / "small")
    assert infer_task(folder) == TASK
    servable = load_recipe(TASK).load(folder)
    assert servable.labels == LABELS and servable.architecture == "whisper"
    batch = clips(adaptation)
    torch.testing.assert_close(servable.module(**batch), adaptation.network(**batch), atol=1e-5, rtol=1e-5)
    plain: Any = load_body(recogniser).module
    assert not torch.allclose(plain(**batch), adaptation.network.pooled(**batch), atol=1e-2)


def test_it_is_adapted_further_from_what_it_has_learnt(recogniser: Path, tmp_path: Path) -> None:
    adaptation, folder = written(recogniser, tmp_path / "small")
    batch = clips(adaptation)
    body: Any = load_body(folder).module
    torch.testing.assert_close(body(**batch), adaptation.network.pooled(**batch), atol=1e-5, rtol=1e-5)


def test_all_of_it_but_the_body_is_stored_in_half_precision(recogniser: Path, tmp_path: Path) -> None:
    _, folder = written(recogniser, tmp_path / "small")
    stored = [load_file(path) for path in (folder / "adapter").glob("*.safetensors")]
    assert {tensor.dtype for tensors in stored for tensor in tensors.values()} == {torch.float16}


def test_an_adapter_of_another_body_is_refused(recogniser: Path, tmp_path: Path) -> None:
    _, folder = written(recogniser, tmp_path / "small")
    path = folder / "adapter" / "adapter_model.safetensors"
    renamed = {name.replace("layers.1", "layers.7"): tensor for name, tensor in load_file(path).items()}
    save_file(renamed, str(path))
    with pytest.raises(InvalidInput, match=r"an adapter for layers\.7") as caught:
        load_recipe(TASK).load(folder)
    assert caught.value.code == "invalid_checkpoint"


def test_a_head_for_another_width_is_refused(recogniser: Path, tmp_path: Path) -> None:
    _, folder = written(recogniser, tmp_path / "small")
    head = {"weight": torch.zeros(2, 5), "bias": torch.zeros(2)}
    save_file(head, str(folder / "adapter" / "head.safetensors"))
    with pytest.raises(InvalidInput, match="no linear head"):
        load_recipe(TASK).load(folder)
