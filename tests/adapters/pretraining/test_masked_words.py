"""A body learns to guess masked words, goes on where it was cut off, and is written as it was learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from adapters.pretraining.books import Passage, passages
from adapters.pretraining.last_layer import LastLayer
from adapters.pretraining.long_run import train
from adapters.pretraining.masked_words import (
    TASK,
    drawn,
    learner_of,
    measured,
    share_of_the_commonest,
)
from adapters.pretraining.masked_words_training import GapLearner, Run, batches, hidden
from adapters.pretraining.texts import BASE, plain_tokenizer
from adapters.training.encoder import load_weights
from tests.tiny_language import write_encoder

RUN = Run(rank=4, longest=48, batch=256, steps=6, warm_up=2, rate=1e-2)
TEXTS = [
    "my parcel was late again, please help.",
    "the courier lost my parcel today, why?",
    "why was the card not charged again, please?",
    "the payment is late and the order is lost again.",
]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder", "bert")


def lessons(encoder: Path) -> list[Passage]:
    return passages([TEXTS * 5], plain_tokenizer(encoder), RUN.longest)


def taught(learner: GapLearner, rows: list[Passage], run: Run, state: Path, **how: Any) -> None:
    train(learner, batches(rows, learner.mask, run), run, state, **{"say": lambda _: None, **how})


def test_a_run_that_was_cut_off_ends_with_the_same_weights(encoder: Path, tmp_path: Path) -> None:
    rows = lessons(encoder)
    whole = learner_of(encoder, rows, RUN)
    taught(whole, rows, RUN, tmp_path / "whole.safetensors")

    def cut(line: str) -> None:
        if line.startswith("step 3 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taught(learner_of(encoder, rows, RUN), rows, RUN, tmp_path / "cut.safetensors", say=cut, every=0)
    resumed = learner_of(encoder, rows, RUN)
    taught(resumed, rows, RUN, tmp_path / "cut.safetensors")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_words_are_learnt_and_written(encoder: Path, tmp_path: Path) -> None:
    rows, run, folder = lessons(encoder), replace(RUN, steps=80), tmp_path / "starter"
    learner_of(encoder, rows, run).write(folder, run, base=BASE, task=TASK)
    before = measured(folder, encoder, rows, cases=40, seed=0)
    learner = learner_of(encoder, rows, run)
    taught(learner, rows, run, tmp_path / "state.safetensors")
    learner.write(folder, run, base=BASE, task=TASK)
    after = measured(folder, encoder, rows, cases=40, seed=0)
    assert before.first < 0.3 and after.first > 0.6 and after.five > 0.9
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "config.json",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "adapter/head.safetensors",
    }


def test_a_new_head_knows_how_often_words_are(encoder: Path) -> None:
    rows = lessons(encoder)
    head = learner_of(encoder, rows, RUN).head
    reader = plain_tokenizer(encoder)
    the, lost, profile = (head.bias[reader.token_to_id(word)].item() for word in ("the", "lost", "profile"))
    assert the > lost > profile


def test_the_last_layer_is_the_same_where_it_is_asked_for(encoder: Path) -> None:
    whole: Any = load_weights(AutoModel, encoder, attention="eager").eval()
    ids = torch.arange(5, 26).reshape(3, 7)
    places = torch.tensor([1, 4, 0, 6, 3, 2]) + 7 * torch.tensor([0, 0, 1, 1, 1, 2])
    with torch.no_grad():
        expected = whole(input_ids=ids).last_hidden_state.flatten(0, 1)[places]
        whole.encoder.layer[-1] = LastLayer(whole.encoder.layer[-1])
        found = whole(input_ids=ids, places=places).last_hidden_state[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_what_is_held_does_not_change(encoder: Path, tmp_path: Path) -> None:
    rows = lessons(encoder)
    learner = learner_of(encoder, rows, RUN)
    taught(learner, rows, RUN, tmp_path / "first.safetensors")
    learner.hold(1)
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    taught(learner, rows, replace(RUN, seed=1), tmp_path / "second.safetensors")
    changed = {name for name, tensor in learner.state().items() if not torch.equal(tensor, before[name])}
    lowest = {f"changes.{part}.{place}" for part in "ab" for place, name in enumerate(learner.changes.names)
              if name.startswith("encoder.layer.0.")}  # fmt: skip
    assert lowest and changed == before.keys() - lowest


def test_whole_words_alone_are_masked() -> None:
    ids = np.asarray([2, 40, 41, 42, 43, 44, 3], np.int32)
    row = Passage(ids, np.asarray([1, 2, 4, 5], np.int32))
    chance = np.random.default_rng(0)
    for share, count in ((0.5, 2), (0.25, 1), (1e-9, 1)):
        masked, places, words = hidden([row, row], 4, share, chance)
        assert len(places) == 2 * count
        assert set((places % 7).tolist()) <= {1, 2, 4, 5}
        assert (masked.flatten()[places] == 4).all() and int((masked == 4).sum()) == 2 * count
        assert words.tolist() == [int(ids[place % 7]) for place in places.tolist()]


def test_every_word_may_be_drawn_and_none_comes_twice() -> None:
    ids = np.arange(9, dtype=np.int32)
    test = [Passage(ids, np.asarray(places, np.int32)) for places in ([1, 2], [3], [4, 5, 7])]
    found = drawn(test, cases=100, seed=0)
    assert sorted(int(one.words[0]) for one in found) == [1, 2, 3, 4, 5, 7]
    assert len(drawn(test, cases=4, seed=0)) == 4


def test_the_commonest_words_are_those_of_the_lessons() -> None:
    places = np.arange(1, 8, dtype=np.int32)
    lesson = Passage(np.asarray([2, 10, 11, 12, 13, 14, 10, 20, 3], np.int32), places[:6])
    test = Passage(np.asarray([2, 10, 11, 20, 21, 3], np.int32), places[:4])
    assert share_of_the_commonest([lesson], [test]) == 0.5
