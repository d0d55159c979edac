"""A translator in training goes on where it was cut off, and is written as one that can be imported or begun from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import MarianMTModel

from adapters.pretraining.translator import measured, write
from adapters.pretraining.translator_training import Run, encoded, learn_pieces, train
from tests.tiny_texts import pairs

RUN = Run(pieces=90, width=32, reading=1, writing=1, heads=2, inner=64, places=32, epochs=2, batch=256, warm_up=5)


def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path) -> None:
    data = pairs(60)
    tokenizer = learn_pieces([text for pair in data for text in pair], RUN.pieces)
    rows = encoded(tokenizer, data, RUN)
    whole = train(rows, tokenizer, RUN, tmp_path / "whole.pt", say=lambda _: None)

    def cut(line: str) -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(rows, tokenizer, RUN, tmp_path / "cut.pt", say=cut)
    resumed = train(rows, tokenizer, RUN, tmp_path / "cut.pt", say=lambda _: None)
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def written(data: list[tuple[str, str]], tmp_path: Path) -> tuple[Path, MarianMTModel, Tokenizer]:
    """The folder of a translator that has learnt a little, and what it was written from."""
    tokenizer = learn_pieces([text for pair in data for text in pair], RUN.pieces)
    model = train(encoded(tokenizer, data, RUN), tokenizer, RUN, tmp_path / "state.pt", say=lambda _: None)
    write(model, tokenizer, tmp_path / "starter", RUN, source="en", target="de")
    return tmp_path / "starter", model, tokenizer


def test_what_is_written_is_served_and_measured(tmp_path: Path) -> None:
    data = pairs(40)
    folder, _, _ = written(data, tmp_path)
    figures = measured(folder, data[:4])
    assert figures["rows"] == 4 and 0 <= figures["chrf"] <= 100
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_the_other_direction_begins_with_the_weights_and_pieces_of_the_first(tmp_path: Path) -> None:
    data = pairs(40)
    folder, first, tokenizer = written(data, tmp_path)
    kept = Tokenizer.from_file(str(folder / "tokenizer.json"))
    other = [(target, source) for source, target in data]
    assert encoded(kept, other, RUN) == encoded(tokenizer, other, RUN)
    untouched = replace(RUN, epochs=0, dropout=0.0)
    begun = train([], kept, untouched, tmp_path / "begun.pt", folder, say=lambda _: None)
    assert begun.config.dropout == 0.0
    learnt = [
        {name: weight for name, weight in model.named_parameters() if weight.requires_grad} for model in (begun, first)
    ]
    assert learnt[0].keys() == learnt[1].keys()
    assert all(torch.equal(weight, learnt[1][name].half().float()) for name, weight in learnt[0].items())
