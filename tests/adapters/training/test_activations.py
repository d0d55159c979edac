"""Training from kept activations computes what a whole pass computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training import activations as module
from adapters.training.activations import Activations
from adapters.training.recipe import Adaptation, Batch, Item
from adapters.training.recipes import text_classification
from adapters.training.recipes.text_classification import TextAdaptation
from tests.adapters.training.tiny_networks import DEFAULTS, Convolutions
from tests.conftest import TinyZoo
from tests.tiny import LABELS, rows

KINDS = ("mini", "mood")  # BERT and DistilBERT
WIDTH = 32


def adaptation_of(zoo: TinyZoo, name: str) -> tuple[TextAdaptation, list[Item]]:
    examples = [Example(at, at, {"text": text, "label": label}) for at, (text, label) in enumerate(rows(30), start=1)]
    folder: Path = zoo.checkpoints / name
    entry = zoo.store.entry(name, 1)
    torch.manual_seed(8)  # of the new head
    made = text_classification.adapt(folder, entry, examples, labels=LABELS, asked=Hyperparameters())
    return made, made.encode(examples)


class Pictures:
    """As much of an adaptation as activations look at: a network without a probe, of pictures read when collated."""

    probes = False
    taps = Convolutions.taps
    defaults = DEFAULTS.defaults

    def __init__(self) -> None:
        self.network = Convolutions()
        self.steps = self.network.steps
        self.reads = 0

    def items(self, lengths: Sequence[int]) -> list[Item]:
        def reading(place: int) -> Callable[[], Batch]:
            def read() -> Batch:
                self.reads += 1
                generator = torch.Generator().manual_seed(place)
                return {"pixels": torch.randn(3, 16, 16, generator=generator)}

            return read

        return [Item(length, target=place, load=reading(place)) for place, length in enumerate(lengths)]

    def collate(self, items: Sequence[Item], *, entered: bool = False) -> Batch:
        if entered:
            return {"pixels": torch.zeros(len(items), 3, 8, 8)}
        return {"pixels": torch.stack([item.read()["pixels"] for item in items])}


@torch.no_grad()
def whole(adaptation: Any, items: list[Item]) -> Tensor:
    answer: Tensor = adaptation.network(**adaptation.collate(items))
    return answer


def lower_runs(adaptation: TextAdaptation) -> list[int]:
    """Grows with each run of the layer below the cut."""
    seen: list[int] = []
    lowest = next(module for module in adaptation.steps()[0].modules() if isinstance(module, nn.Linear))
    lowest.register_forward_hook(lambda *_: seen.append(0))
    return seen


@pytest.mark.parametrize("name", KINDS)
def test_outputs_from_kept_activations_are_those_of_a_whole_pass(tiny_zoo: TinyZoo, name: str) -> None:
    adaptation, items = adaptation_of(tiny_zoo, name)
    kept = Activations(adaptation, 1)
    kept.gather(items)
    expected = whole(adaptation, items[3:11])
    torch.testing.assert_close(kept.outputs(items[3:11]), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(whole(adaptation, items[3:11]), expected)


@pytest.mark.parametrize("name", KINDS)
def test_the_layers_below_do_not_run(tiny_zoo: TinyZoo, name: str) -> None:
    adaptation, items = adaptation_of(tiny_zoo, name)
    kept = Activations(adaptation, 1)
    seen = lower_runs(adaptation)
    kept.gather(items)
    assert seen
    seen.clear()
    kept.outputs(items[:4])
    assert not seen


def test_gradients_reach_the_head_and_the_layers_above(tiny_zoo: TinyZoo) -> None:
    adaptation, items = adaptation_of(tiny_zoo, "mini")
    kept = Activations(adaptation, 1)
    kept.gather(items)
    adaptation.network.requires_grad_(True)
    adaptation.loss(kept.outputs(items[:4]), [0, 1, 2, 0]).backward()  # type: ignore[no-untyped-call]
    names = {name for name, weight in adaptation.network.named_parameters() if weight.grad is not None}
    assert {"head.weight", "body.encoder.layer.1.output.dense.weight"} <= names
    assert not [name for name in names if ".layer.0." in name]


def test_features_come_in_the_order_of_the_items(tiny_zoo: TinyZoo) -> None:
    adaptation, items = adaptation_of(tiny_zoo, "mini")
    kept = Activations(adaptation, 1)
    with torch.no_grad():
        alone = torch.stack([adaptation.features(adaptation.collate([item]))[0] for item in items])
    for features in (kept.gather(items), kept.features(items)):
        assert features is not None
        torch.testing.assert_close(features, alone, atol=1e-5, rtol=1e-5)


def test_items_that_were_not_gathered_are_answered_by_a_whole_pass(tiny_zoo: TinyZoo) -> None:
    adaptation, items = adaptation_of(tiny_zoo, "mini")
    kept = Activations(adaptation, 1)
    kept.gather(items[:20])
    seen = lower_runs(adaptation)
    torch.testing.assert_close(kept.outputs(items[18:24]), whole(adaptation, items[18:24]))
    assert seen


def test_progress_is_told_up_to_the_last_item(tiny_zoo: TinyZoo) -> None:
    adaptation, items = adaptation_of(tiny_zoo, "mini")
    told: list[tuple[int, int]] = []
    Activations(adaptation, 1).gather(items, tick=lambda done, of: told.append((done, of)))
    assert told[-1] == (30, 30)


@pytest.mark.parametrize("cut", [0, 1])
def test_what_cannot_be_kept_is_computed_by_whole_passes(
    tiny_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", module.MAX_BYTES if cut == 0 else 100)
    adaptation, items = adaptation_of(tiny_zoo, "mini")
    kept = Activations(adaptation, cut)
    features = kept.gather(items)
    assert features is not None
    torch.testing.assert_close(features, kept.features(items), atol=1e-5, rtol=1e-5)
    seen = lower_runs(adaptation)
    torch.testing.assert_close(kept.outputs(items[:4]), whole(adaptation, items[:4]))
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("room", "lower", "difference"),
    [(4.01, 0, (0.0, 2e-6)), (3.99, 0, (5e-6, 1e-3)), (2.01, 0, (5e-6, 1e-3)), (1.99, 1, (0.0, 0.0))],
    ids=["float32", "float16", "float16-just", "nothing"],
)
def test_float16_is_kept_where_float32_has_no_room_and_nothing_where_that_has_none(
    tiny_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch, room: float, lower: int, difference: tuple[float, float]
) -> None:
    adaptation, items = adaptation_of(tiny_zoo, "mini")
    numbers = sum(item.length for item in items) * WIDTH
    monkeypatch.setattr(module, "MAX_BYTES", int(room * numbers))
    kept = Activations(adaptation, 1)
    kept.gather(items)
    expected = whole(adaptation, items[:8])
    seen = lower_runs(adaptation)
    outputs = kept.outputs(items[:8])
    assert outputs.dtype == torch.float32
    assert len(seen) == lower
    assert difference[0] <= float((outputs.detach() - expected).abs().max()) <= difference[1]


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_network_without_a_probe_is_kept_with_its_taps_and_its_pictures_are_read_once(cut: int) -> None:
    adaptation = Pictures()
    items = adaptation.items([64] * 6)
    expected = whole(adaptation, items)
    kept = Activations(cast(Adaptation, adaptation), cut)
    adaptation.reads = 0
    assert kept.gather(items) is None
    torch.testing.assert_close(kept.outputs(items[::-1]), expected.flip(0), atol=1e-6, rtol=1e-5)
    assert adaptation.reads == 6


def test_no_picture_is_read_for_activations_that_are_not_kept() -> None:
    adaptation = Pictures()
    items = adaptation.items([64] * 6)
    assert Activations(cast(Adaptation, adaptation), 0).gather(items) is None
    assert adaptation.reads == 0


def test_a_map_is_kept_whole_though_its_item_costs_less_than_others() -> None:
    adaptation = Pictures()
    items = adaptation.items([8, 4, 8, 2])  # the longest costs as much as the map has channels
    kept = Activations(cast(Adaptation, adaptation), 3)
    kept.gather(items)
    torch.testing.assert_close(kept.outputs(items), whole(adaptation, items))
