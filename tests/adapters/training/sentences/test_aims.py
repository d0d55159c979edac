"""What a classifier is to learn: targets, losses, probes, agreement."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from adapters.datasets import Example
from adapters.training.sentences.aims import OneLabel, Score, ScoreHead, SeveralLabels, aim_of


def example(**said: object) -> Example:
    labels = said.pop("labels", None)
    values = {"text": "late", **{name: str(value) for name, value in said.items()}}
    return Example(1, 1, values, labels=labels)  # type: ignore[arg-type]


def test_the_examples_say_what_is_learnt() -> None:
    assert isinstance(aim_of([example(label="a")], ("a", "b")), OneLabel)
    assert isinstance(aim_of([example(labels=())], ("a", "b")), SeveralLabels)
    assert isinstance(aim_of([example(score=1.5)], ()), Score)


def test_the_target_of_several_labels_has_one_for_each_that_applies() -> None:
    assert SeveralLabels(("a", "b", "c")).target(example(labels=("c", "a"))) == [1.0, 0.0, 1.0]


def test_the_loss_of_several_labels_is_that_of_each_added_up() -> None:
    loss = SeveralLabels(("a", "b")).loss(torch.tensor([[0.0, 2.0]]), [[1.0, 0.0]])
    assert float(loss) == pytest.approx(math.log(2) + math.log(1 + math.exp(2)), abs=1e-5)


def test_the_loss_of_a_score_is_in_standard_deviations() -> None:
    small, large = Score([0.0, 1.0]), Score([0.0, 100.0])
    one = small.loss(torch.tensor([[0.2]]), [0.7])
    other = large.loss(torch.tensor([[20.0]]), [70.0])
    assert float(one) == pytest.approx(0.5, abs=1e-5) and float(other) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("unit", [0.01, 1.0, 100.0])
def test_a_probe_of_scores_finds_a_linear_rule_in_any_unit(unit: float) -> None:
    features = functional.normalize(torch.randn(200, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    scores = (unit * (3.0 + features[:, 0])).tolist()
    aim = Score(scores)
    head = aim.new_head(8)
    aim.fit_head(head, features, scores, views=1)
    assert isinstance(head, ScoreHead)
    with torch.no_grad():
        answers = head(features)[:, 0]
        torch.testing.assert_close(head.plain()(features)[:, 0], answers)
    assert float((answers - torch.tensor(scores)).abs().max()) < 0.1 * unit


def test_a_probe_of_several_labels_finds_each_by_itself() -> None:
    features = functional.normalize(torch.randn(300, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    targets = [[float(row[0] > 0), float(row[1] > 0)] for row in features]
    aim = SeveralLabels(("a", "b"))
    head = aim.new_head(8)
    aim.fit_head(head, features, targets, views=1)
    figures = aim.metrics(head(features).detach(), targets)
    assert figures["macro_f1"] > 0.9


def told(**scores: float) -> list[dict[str, object]]:
    return [{"label": label, "score": score} for label, score in scores.items()]


def test_several_labels_agree_when_the_same_ones_apply() -> None:
    aim, output = SeveralLabels(("a", "b")), torch.tensor([3.0, -3.0])
    assert aim.agrees(output, told(a=0.9526, b=0.0474), example(labels=("a",)))
    assert not aim.agrees(output, told(a=0.9526, b=0.9526), example(labels=("a",)))
    assert not aim.agrees(output, told(a=0.9526), example(labels=("a",)))


def test_a_probability_on_the_border_may_fall_on_either_side() -> None:
    aim = SeveralLabels(("a",))
    assert aim.agrees(torch.tensor([1e-4]), told(a=0.49999), example(labels=("a",)))


def test_a_score_agrees_when_it_is_the_same() -> None:
    aim = Score([1.0, 5.0])
    assert aim.agrees(torch.tensor([2.5]), told(score=2.5), example(score=2))
    assert not aim.agrees(torch.tensor([2.5]), told(score=2.6), example(score=2))
