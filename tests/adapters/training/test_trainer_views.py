"""Training on several fixed views of each example: an epoch takes one of each, and all have their turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from adapters.jobs import Hyperparameters, JobPreempted
from adapters.training.hyperparameters import resolve
from adapters.training.recipe import Adaptation, Item
from adapters.training.trainer import Rows, Trainer
from tests.adapters.training.test_trainer import Toy, context_in, equal, rows_for
from tests.adapters.training.tiny_networks import DEFAULTS

EXAMPLES, VIEWS = 24, 3
Seen = list[tuple[int, int]]


def viewed(toy: Toy, seen: Seen) -> Rows:
    """Items whose target is (example, view) here; which were trained on, is written to ``seen``."""
    generator = torch.Generator().manual_seed(10)
    x = torch.randn(EXAMPLES * VIEWS, 6, generator=generator)
    items = [Item(3 + place % 5, int(x[place, 0] > 0), {"x": x[place]}) for place in range(len(x))]
    places = {item: divmod(place, VIEWS) for place, item in enumerate(items)}

    def outputs(chosen: Sequence[Item]) -> Tensor:
        seen.extend(places[item] for item in chosen)
        answer: Tensor = toy.network(torch.stack([item.tensors["x"] for item in chosen]))
        return answer

    return Rows(items, outputs, VIEWS)


def trained(folder: Path, toy: Toy, *, epochs: int, seed: int = 4, stop_at: int | None = None) -> list[Seen]:
    """What each epoch was trained on."""
    asked = Hyperparameters(n_epochs=epochs, batch_size=5)
    plan = resolve(asked, DEFAULTS.defaults, rows=EXAMPLES, layers=2, max_tokens=None)
    context = context_in(folder, stop_at=stop_at)
    trainer = Trainer(cast(Adaptation, toy), plan, seed=seed, folder=folder / "training", context=context)
    seen: Seen = []
    trainer.fit(viewed(toy, seen), rows_for(toy, 16, seed=11))
    return [seen[start : start + EXAMPLES] for start in range(0, len(seen), EXAMPLES)]


def test_an_example_is_found_by_its_place_and_view() -> None:
    rows = viewed(Toy(), [])
    assert rows.count == EXAMPLES
    assert [rows.items.index(rows.item(place, view)) for place, view in ((0, 0), (0, 2), (7, 1))] == [0, 2, 22]


def test_an_epoch_takes_one_view_of_each_example(tmp_path: Path) -> None:
    epochs = trained(tmp_path, Toy(), epochs=4)
    assert [sorted(example for example, _ in seen) for seen in epochs] == [list(range(EXAMPLES))] * 4


def test_after_as_many_epochs_as_views_every_view_had_its_turn_and_then_they_come_again(tmp_path: Path) -> None:
    epochs = trained(tmp_path, Toy(), epochs=VIEWS + 1)
    every = {(example, view) for example in range(EXAMPLES) for view in range(VIEWS)}
    assert {pair for seen in epochs[:VIEWS] for pair in seen} == every
    assert set(epochs[VIEWS]) == set(epochs[0])


def test_an_epoch_mixes_views_and_another_seed_mixes_them_otherwise(tmp_path: Path) -> None:
    first, other = (trained(tmp_path / str(seed), Toy(), epochs=1, seed=seed)[0] for seed in (4, 5))
    assert {view for _, view in first} == set(range(VIEWS))
    assert set(first) != set(other)


def test_a_run_that_was_cut_off_goes_on_with_the_views_that_were_due(tmp_path: Path) -> None:
    whole, cut, resumed = Toy(), Toy(), Toy()
    trained(tmp_path / "whole", whole, epochs=4)
    with pytest.raises(JobPreempted):
        trained(tmp_path / "cut", cut, epochs=4, stop_at=7)
    trained(tmp_path / "cut", resumed, epochs=4)
    assert equal(resumed.state(), whole.state())
