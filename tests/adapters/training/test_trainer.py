"""The training loop on a network of a few weights: it learns, keeps the best state, repeats itself and resumes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from adapters.jobs import Hyperparameters, Job, JobKind, JobPreempted, JobSpec
from adapters.training.hyperparameters import resolve
from adapters.training.judging import judge_rows
from adapters.training.recipe import Adaptation, Item
from adapters.training.trainer import Rows, Trainer
from tests.adapters.training.quiet_context import QuietContext
from tests.adapters.training.tiny_networks import DEFAULTS
from zoo.errors import ZooError


class Pair(nn.Module):
    """A frozen layer, a trained one beside it and a head: what a LoRA body and its head look like to the trainer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"base": nn.Linear(6, 6), "adapter": nn.Linear(6, 6)})
        self.body["base"].requires_grad_(False)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(torch.tanh(self.body["base"](x) + self.body["adapter"](x)))
        return answer


class Toy:
    """As much of an adaptation as training looks at; ``rate`` scores a state in place of its accuracy."""

    headline = ("hits", "macro_f1")
    defaults = DEFAULTS.defaults
    judge = judge_rows

    def __init__(self, *, rate: Callable[[int], float] | None = None, loss_factor: float = 1.0) -> None:
        torch.manual_seed(1)
        self.network = Pair().eval()
        self.body, self.head, self.labels = self.network.body, self.network.head, ("low", "high")
        self.states: list[dict[str, Tensor]] = []
        self._rate = rate
        self._factor = loss_factor

    def loss(self, outputs: Tensor, targets: Sequence[int]) -> Tensor:
        return self._factor * functional.cross_entropy(outputs, torch.tensor(targets))

    def metrics(self, outputs: Tensor, targets: Sequence[int]) -> dict[str, Any]:
        accuracy = share_right(outputs, targets)
        score = accuracy if self._rate is None else self._rate(len(self.states))
        self.states.append(self.state())
        return {"score": score, "hits": accuracy, "macro_f1": accuracy / 2}

    def state(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self.network.named_parameters()}


def share_right(outputs: Tensor, targets: Sequence[int]) -> float:
    return float((outputs.argmax(dim=1) == torch.tensor(targets)).float().mean())


def rows_for(toy: Toy, count: int, seed: int) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator)
    targets = (x[:, 0] + x[:, 1] > 0).long().tolist()
    items = [Item(3 + place % 5, targets[place], {"x": x[place]}) for place in range(count)]

    def outputs(chosen: Sequence[Item]) -> Tensor:
        answer: Tensor = toy.network(torch.stack([item.read()["x"] for item in chosen]))
        return answer

    return Rows(items, outputs)


def context_in(folder: Path, *, stop_at: int | None = None) -> QuietContext:
    spec = JobSpec(kind=JobKind.ADAPT, model="toy")
    return QuietContext(Job(id="ftjob-1", spec=spec, created_at=time.time()), folder, stop_at)


def train(folder: Path, toy: Toy, *, seed: int = 0, stop_at: int | None = None, epochs: int = 4) -> QuietContext:
    """Train ``toy`` on 64 rows; the context that watched."""
    asked = Hyperparameters(n_epochs=epochs, batch_size=8, learning_rate=0.02)
    plan = resolve(asked, DEFAULTS.defaults, rows=64, layers=2, max_tokens=48)
    context = context_in(folder, stop_at=stop_at)
    trainer = Trainer(cast(Adaptation, toy), plan, seed=seed, folder=folder / "training", context=context)
    trainer.fit(rows_for(toy, 64, seed=10), rows_for(toy, 32, seed=11))
    return context


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


def accuracy(toy: Toy) -> float:
    rows = rows_for(toy, 200, seed=12)
    with torch.no_grad():
        return share_right(rows.outputs(rows.items), [item.target for item in rows.items])


def test_training_learns_what_the_rows_show(tmp_path: Path) -> None:
    toy = Toy()
    before = accuracy(toy)
    train(tmp_path, toy, epochs=10)
    assert before < 0.75
    assert accuracy(toy) > 0.9


def test_frozen_weights_stay_as_they_are_and_all_others_move(tmp_path: Path) -> None:
    toy = Toy()
    before = toy.state()
    train(tmp_path, toy)
    moved = {name for name, weight in toy.state().items() if not torch.equal(weight, before[name])}
    assert moved == {"body.adapter.weight", "body.adapter.bias", "head.weight", "head.bias"}


def test_the_state_that_validation_rated_best_is_put_back(tmp_path: Path) -> None:
    toy = Toy(rate=lambda judged: 0.9 if judged == 1 else 0.1)
    train(tmp_path, toy)
    assert len(toy.states) > 2
    assert equal(toy.state(), toy.states[1])
    assert not equal(toy.state(), toy.states[-1])


def test_states_that_one_row_tells_apart_are_equals_of_which_the_later_is_put_back(tmp_path: Path) -> None:
    toy = Toy(rate=lambda judged: 0.9 if judged == 1 else 0.88)  # of 32 rows
    train(tmp_path, toy)
    assert equal(toy.state(), toy.states[-1])


def test_without_validation_rows_the_last_state_stays(tmp_path: Path) -> None:
    toy, judged = Toy(), Toy()
    plan = resolve(Hyperparameters(n_epochs=3, batch_size=8), DEFAULTS.defaults, rows=64, layers=2, max_tokens=48)
    for one, validation in ((toy, None), (judged, rows_for(judged, 8, seed=11))):
        folder = tmp_path / str(validation is None)
        trainer = Trainer(cast(Adaptation, one), plan, seed=0, folder=folder, context=context_in(folder))
        trainer.fit(rows_for(one, 64, seed=10), validation)
    assert toy.states == []
    assert equal(toy.state(), judged.states[-1])


def test_training_that_only_harms_leaves_the_start(tmp_path: Path) -> None:
    toy = Toy(rate=lambda judged: 1.0 - judged / 10)
    before = toy.state()
    train(tmp_path, toy)
    assert equal(toy.state(), before)


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    first, second = Toy(), Toy()
    train(tmp_path / "one", first, seed=5)
    train(tmp_path / "two", second, seed=5)
    assert equal(first.state(), second.state())


def test_another_seed_takes_another_way(tmp_path: Path) -> None:
    first, second = Toy(rate=float), Toy(rate=float)  # the last state is the best
    train(tmp_path / "one", first, seed=5)
    train(tmp_path / "two", second, seed=6)
    assert not equal(first.state(), second.state())


@pytest.mark.parametrize("step", [1, 8, 13, 31])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path: Path, step: int) -> None:
    whole, cut, resumed = Toy(), Toy(), Toy()
    train(tmp_path / "whole", whole)
    with pytest.raises(JobPreempted):
        train(tmp_path / "cut", cut, stop_at=step)
    context = train(tmp_path / "cut", resumed)
    assert any("Resumed" in message for message in context.messages)
    assert equal(resumed.state(), whole.state())


def test_the_best_state_of_before_the_cut_is_not_forgotten(tmp_path: Path) -> None:
    cut = Toy(rate=lambda judged: 0.9 if judged == 1 else 0.1)
    with pytest.raises(JobPreempted):
        train(tmp_path, cut, stop_at=20)
    resumed = Toy(rate=lambda _: 0.2)
    train(tmp_path, resumed)
    assert equal(resumed.state(), cut.states[1])


def test_weights_that_were_written_without_their_record_do_not_count(tmp_path: Path) -> None:
    whole, other = Toy(), Toy()
    train(tmp_path / "whole", whole)
    (tmp_path / "torn" / "training").mkdir(parents=True)
    (tmp_path / "torn" / "training" / "9-state.safetensors").write_bytes(b"half a file")
    context = train(tmp_path / "torn", other)
    assert not any("Resumed" in message for message in context.messages)
    assert equal(other.state(), whole.state())


def test_checkpoints_are_reported_and_the_last_alone_is_kept(tmp_path: Path) -> None:
    context = train(tmp_path, Toy())
    assert context.checkpoints == sorted(context.checkpoints)
    assert context.checkpoints[-1] == 4 * 8
    assert len(list((tmp_path / "training").glob("*.safetensors"))) == 1


def test_a_finished_run_that_is_started_again_does_not_train_further(tmp_path: Path) -> None:
    first, again = Toy(), Toy()
    train(tmp_path, first)
    train(tmp_path, again)
    assert equal(again.state(), first.state())


def test_a_loss_that_is_no_number_ends_the_run_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="learning_rate") as caught:
        train(tmp_path, Toy(loss_factor=float("nan")))
    assert (caught.value.code, caught.value.param) == ("diverged", "hyperparameters.learning_rate")


def test_every_step_of_the_history_has_the_first_figure_by_its_own_name(tmp_path: Path) -> None:
    toy = Toy()
    context = context_in(tmp_path)
    plan = resolve(Hyperparameters(n_epochs=2, batch_size=8), DEFAULTS.defaults, rows=64, layers=2, max_tokens=None)
    trainer = Trainer(cast(Adaptation, toy), plan, seed=0, folder=tmp_path / "training", context=context)
    trainer.fit(rows_for(toy, 64, seed=10), rows_for(toy, 32, seed=11))
    assert [set(line) for line in trainer.progress.history] == [{"step", "valid_loss", "valid_hits"}] * 3
    assert [message.split(":")[1].split()[:2] for message in context.messages] == [["validation", "hits"]] * 3
    assert trainer.progress.tokens == 2 * sum(3 + place % 5 for place in range(64))
