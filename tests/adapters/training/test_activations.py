"""Training from kept activations computes what a whole pass computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapters.datasets import Example
from adapters.training import activations as module
from adapters.training.activations import Activations
from adapters.training.lora import blocks
from adapters.training.recipe import Item
from adapters.training.recipes import text_classification
from adapters.training.recipes.text_classification import TextAdaptation
from tests.conftest import TinyZoo
from tests.tiny import rows

KINDS = ("mini", "mood")  # BERT and DistilBERT


def adaptation_of(zoo: TinyZoo, name: str) -> tuple[TextAdaptation, list[Item]]:
    examples = [Example(at, at, {"text": text, "label": label}) for at, (text, label) in enumerate(rows(30), start=1)]
    folder: Path = zoo.checkpoints / name
    made = text_classification.adapt(folder, zoo.store.entry(name, 1), examples, max_tokens=48)
    return made, made.encode(examples)


def outputs(adaptation: TextAdaptation, items: list[Item]) -> torch.Tensor:
    with torch.no_grad():
        answer: torch.Tensor = adaptation.network(**adaptation.collate(items))
    return answer


@pytest.mark.parametrize("name", KINDS)
def test_the_shortened_body_answers_as_the_whole_one(tiny_zoo: TinyZoo, name: str) -> None:
    adaptation, items = adaptation_of(tiny_zoo, name)
    kept = Activations(adaptation.body, 1)
    kept.gather(adaptation, items)
    chosen = items[3:11]
    whole = outputs(adaptation, chosen)
    with kept.shortened():
        kept.entering(chosen)
        torch.testing.assert_close(outputs(adaptation, chosen), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(outputs(adaptation, chosen), whole)


@pytest.mark.parametrize("name", KINDS)
def test_the_layers_below_do_not_run(tiny_zoo: TinyZoo, name: str) -> None:
    adaptation, items = adaptation_of(tiny_zoo, name)
    kept = Activations(adaptation.body, 1)
    kept.gather(adaptation, items)
    _, stack = blocks(adaptation.body)
    runs: list[int] = []
    for place, layer in enumerate(list(stack)):
        layer.register_forward_hook(lambda *_, place=place: runs.append(place))
    with kept.shortened():
        kept.entering(items[:4])
        outputs(adaptation, items[:4])
    assert runs == [1]


def test_features_come_in_the_order_of_the_items(tiny_zoo: TinyZoo) -> None:
    adaptation, items = adaptation_of(tiny_zoo, "mini")
    features = Activations(adaptation.body, 1).gather(adaptation, items)
    with torch.no_grad():
        alone = torch.stack([adaptation.features(adaptation.collate([item]))[0] for item in items])
    torch.testing.assert_close(features, alone, atol=1e-5, rtol=1e-5)


def test_what_does_not_fit_is_trained_through_the_whole_body(
    tiny_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    adaptation, items = adaptation_of(tiny_zoo, "mini")
    kept = Activations(adaptation.body, 1)
    kept.gather(adaptation, items)
    whole = outputs(adaptation, items[:4])
    with kept.shortened():
        kept.entering(items[:4])
        torch.testing.assert_close(outputs(adaptation, items[:4]), whole)
