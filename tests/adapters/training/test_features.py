"""Batches by length, and the linear probe beside scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from adapters.training.features import Probe, by_length, fit_probe, forward
from adapters.training.recipe import Item


def items_of(*lengths: int) -> list[Item]:
    return [Item(length, target=place) for place, length in enumerate(lengths)]


def clouds(count: int, *, classes: int, seed: int = 0, spread: float = 0.6) -> tuple[Tensor, Tensor]:
    """Unit-length vectors of 12 numbers around one centre for each class, in random order."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes, (count,), generator=generator)
    targets[:classes] = torch.arange(classes)
    centres = torch.randn(classes, 12, generator=generator)
    points = centres[targets] + spread * torch.randn(count, 12, generator=generator)
    return functional.normalize(points, dim=1), targets


def test_batches_hold_similar_lengths_within_their_cost() -> None:
    assert list(by_length(items_of(9, 1, 5, 2, 10), cost=12)) == [[1, 3], [2], [0], [4]]


def test_an_item_beyond_the_cost_has_a_batch_of_its_own() -> None:
    assert list(by_length(items_of(50, 3, 60), cost=12)) == [[1], [0], [2]]


def test_every_item_is_in_exactly_one_batch() -> None:
    items = items_of(*(1 + number * 37 % 61 for number in range(200)))
    batches = list(by_length(items, cost=256))
    assert sorted(place for batch in batches for place in batch) == list(range(200))
    assert all(len(batch) * max(items[place].length for place in batch) <= 256 for batch in batches)


def test_no_items_give_no_batches() -> None:
    assert list(by_length([])) == []


def test_outputs_come_back_in_the_order_of_the_items() -> None:
    lengths = [9, 1, 5, 2000, 2, 1500]

    def outputs(items: Sequence[Item]) -> Tensor:
        return torch.tensor([[float(item.target), float(item.length)] for item in items])

    assert forward(items_of(*lengths), outputs).tolist() == [
        [float(at), float(size)] for at, size in enumerate(lengths)
    ]


def test_outputs_carry_no_gradient_and_are_float32() -> None:
    weight = torch.ones(1, requires_grad=True)
    answer = forward(items_of(3), lambda items: (weight * 2.0).to(torch.bfloat16).expand(len(items), 1))
    assert not answer.requires_grad
    assert answer.dtype == torch.float32


@pytest.mark.parametrize("strength", [1.0, 4.0, 16.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_a_probe_is_the_optimum_of_scikit_learn(strength: float, classes: int) -> None:
    features, targets = clouds(150, classes=classes)
    probe = Probe(features, targets, classes, strength=strength)
    shares = probe.logits(features).softmax(dim=1).numpy()
    # scikit-learn has one row of weights for two classes, so the same penalty weighs twice
    theirs = LogisticRegression(C=2 * strength if classes == 2 else strength, tol=1e-8, max_iter=5000)
    expected = theirs.fit(features.numpy(), targets.numpy()).predict_proba(features.numpy())
    np.testing.assert_allclose(shares, expected, atol=2e-3)


def test_a_warm_start_ends_at_the_same_optimum() -> None:
    features, targets = clouds(150, classes=4)
    cold = Probe(features, targets, 4, strength=16.0)
    warm = Probe(features, targets, 4, strength=16.0, start=Probe(features, targets, 4, strength=1.0).layer)
    difference = (cold.logits(features).softmax(1) - warm.logits(features).softmax(1)).abs().max()
    assert float(difference) < 2e-3


def test_a_fitted_probe_knows_new_rows() -> None:
    features, targets = clouds(400, classes=4, spread=0.4)
    probe = fit_probe(features[:300], targets[:300], 4)
    right = (probe.logits(features[300:]).argmax(dim=1) == targets[300:]).float().mean()
    assert float(right) > 0.9


def test_noise_is_fitted_with_the_strongest_penalty_and_clean_data_with_the_weakest() -> None:
    generator = torch.Generator().manual_seed(1)
    noise = functional.normalize(torch.randn(80, 12, generator=generator), dim=1)
    assert fit_probe(noise, torch.randint(3, (80,), generator=generator), 3).strength == 1.0
    clean, targets = clouds(400, classes=4, spread=0.1)
    assert fit_probe(clean, targets, 4).strength == 16.0


def test_a_probe_is_the_same_on_every_run() -> None:
    features, targets = clouds(60, classes=3)
    first, second = (fit_probe(features, targets, 3).layer.weight for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_a_handful_of_rows_is_enough(count: int) -> None:
    features, targets = clouds(count, classes=3, spread=0.05)
    probe = fit_probe(features, targets, 3)
    assert probe.logits(features).argmax(dim=1).tolist() == targets.tolist()


def test_a_class_without_rows_is_never_the_answer() -> None:
    features, targets = clouds(60, classes=3)
    probe = fit_probe(features, targets, 5)
    assert probe.logits(features).shape == (60, 5)
    assert int(probe.logits(features).argmax(dim=1).max()) <= 2


def test_views_of_one_example_are_never_on_both_sides_of_a_fold() -> None:
    generator = torch.Generator().manual_seed(1)
    noise = functional.normalize(torch.randn(40, 12, generator=generator), dim=1)
    targets = torch.randint(3, (40,), generator=generator)
    views = noise.repeat_interleave(4, dim=0), targets.repeat_interleave(4)
    # a view whose like was learnt is known by heart, which looks best without a penalty
    assert fit_probe(*views, 3).strength == 16.0
    assert fit_probe(*views, 3, views=4).strength == 1.0 / 4  # over four times the rows
