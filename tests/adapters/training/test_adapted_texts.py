"""What was learnt on a text encoder, an adapter and a head, is imported beside the encoder and adapted further."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from adapters.datasets import Example, Span
from adapters.jobs import Hyperparameters
from adapters.pretraining.texts import config_of
from adapters.training import lora
from adapters.training.checkpoint import infer_task
from adapters.training.encoder import load_body
from adapters.training.hyperparameters import resolve
from adapters.training.layouts.adapted import write_adapted
from adapters.training.recipe import Adaptation, Recipe, load_recipe
from tests.tiny import write_checkpoint
from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput

TAGS = ("O", "B-thing", "I-thing")
EXAMPLES = {
    "text-classification": [
        Example(1, 1, {"text": "my invoice", "label": "no"}),
        Example(2, 2, {"text": "my parcel", "label": "yes"}),
    ],
    "token-classification": [Example(1, 1, {"text": "my invoice"}, spans=(Span("thing", 3, 10),))],
    "question-answering": [
        Example(1, 1, {"question": "why", "context": "the parcel was late"}, spans=(Span("", 15, 19),))
    ],
}
LABELS = {"text-classification": ("no", "yes"), "token-classification": ("thing",), "question-answering": ()}


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "encoder")


def base(task: str, labels: Sequence[str] = ()) -> ModelEntry:
    return ModelEntry(
        name="tiny",
        version=1,
        task=task,
        modality="text",
        architecture="bert",
        licence="mit",
        created=0,
        labels=tuple(labels),
        limits={"max_tokens": 48},
    )


def adapt(task: str, checkpoint: Path, entry: ModelEntry) -> Adaptation:
    recipe: Recipe = load_recipe(task)
    return recipe.adapt(checkpoint, entry, EXAMPLES[task], labels=LABELS[task], asked=Hyperparameters())


def written(task: str, encoder: Path, folder: Path) -> Adaptation:
    """An adapter and a head that change something, in a folder with the encoder's files beside; the adaptation."""
    torch.manual_seed(1)
    adaptation = adapt(task, encoder, base("feature-extraction"))
    plan = resolve(Hyperparameters(), adaptation.defaults, rows=10, layers=2, max_tokens=None)
    wrapped = lora.wrap(adaptation.body, lora.targets(adaptation.body, adaptation.steps()), plan.ranks, base="encoder")
    with torch.no_grad():
        for weight in [*wrapped.parameters(), *adaptation.head.parameters()]:
            if weight.requires_grad:
                weight.copy_((0.1 * torch.randn_like(weight)).half())
    shutil.copytree(encoder, folder)
    write_adapted(folder, wrapped, adaptation.head, labels=adaptation.labels, **config_of(adaptation, task))
    body: Any = lora.merged(wrapped)
    adaptation.network.body = body
    return adaptation


@pytest.mark.parametrize("task", EXAMPLES)
def test_it_answers_as_the_version_that_was_written(task: str, encoder: Path, tmp_path: Path) -> None:
    adaptation = written(task, encoder, tmp_path / "small")
    assert infer_task(tmp_path / "small") == task
    servable, expected = load_recipe(task).load(tmp_path / "small"), adaptation.servable()
    told = ("labels", "options", "limits", "architecture", "inputs", "outputs")
    assert [getattr(servable, name) for name in told] == [getattr(expected, name) for name in told]
    batch = servable.example(3, (9,))
    torch.testing.assert_close(servable.module(**batch), adaptation.network(**batch), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("task", ["token-classification", "question-answering"])
def test_one_of_the_same_task_goes_on_with_its_head(task: str, encoder: Path, tmp_path: Path) -> None:
    adaptation = written(task, encoder, tmp_path / "small")
    further = adapt(task, tmp_path / "small", base(task, labels=adaptation.labels))
    assert further.knows and all(weight.requires_grad for weight in further.head.parameters())
    batch = adaptation.servable().example(3, (9,))
    torch.testing.assert_close(further.network(**batch), adaptation.network(**batch), atol=1e-5, rtol=1e-5)


def test_another_task_starts_from_what_the_body_has_learnt(encoder: Path, tmp_path: Path) -> None:
    adaptation = written("text-classification", encoder, tmp_path / "small")
    body = load_recipe("feature-extraction").load(tmp_path / "small").module
    batch = adaptation.servable().example(3, (9,))
    learnt: Any = adaptation.network.body
    torch.testing.assert_close(body(**batch), learnt(**batch).last_hidden_state, atol=1e-5, rtol=1e-5)
    plain: Any = load_body(encoder)
    assert not torch.allclose(plain(**batch).last_hidden_state, body(**batch), atol=1e-2)


@pytest.mark.parametrize("faulty", [{"max_answer_len": 10**9}, {"max_answer_len": "long"}])
def test_answers_of_a_length_that_is_never_served_are_refused(
    faulty: dict[str, Any], encoder: Path, tmp_path: Path
) -> None:
    written("question-answering", encoder, tmp_path / "small")
    path = tmp_path / "small" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | faulty))
    with pytest.raises(InvalidInput, match="of answers of at most 128 tokens"):
        load_recipe("question-answering").load(tmp_path / "small")


@pytest.mark.parametrize("task", EXAMPLES)
def test_a_head_for_another_width_is_refused(task: str, encoder: Path, tmp_path: Path) -> None:
    written(task, encoder, tmp_path / "small")
    head = {"weight": torch.zeros(2, 5), "bias": torch.zeros(2)}
    save_file(head, str(tmp_path / "small" / "adapter" / "head.safetensors"))
    with pytest.raises(InvalidInput, match="no linear head"):
        load_recipe(task).load(tmp_path / "small")
