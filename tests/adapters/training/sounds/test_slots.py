"""Bodies for sounds get a graph of their own with slots: what adaptations run, not what the imported model answers."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch

from adapters.training.slots import linear_weights
from adapters.training.sounds.body import load_body
from tests.adapters.training.adapters_on_bodies import Made, apart, make
from tests.imports import Imports
from tests.tiny_sounds import write_sound_checkpoint
from zoo.catalogue.store import Store
from zoo.engine.body import BARE, Body


@pytest.mark.parametrize("kind", ["wav2vec2", "ast", "whisper"])
def test_every_kind_of_body_for_sounds_answers_as_peft_for_a_mix_of_adapters(
    imports: Imports, tmp_path: Path, kind: str
) -> None:
    checkpoint = write_sound_checkpoint(tmp_path / "checkpoint", kind)
    imports.bring(tmp_path / "home", "ear", checkpoint, task="audio-classification")
    folder = Store(tmp_path / "home").folder("ear", 1)
    sounds = load_body(checkpoint)
    body = Body(folder, threads=1, budget=2**26)
    linears = body.slots.table.linears
    assert (sorted(linears), body.slots.table.left_out) == (sorted(linear_weights(sounds.module)), {})
    made: list[Made] = [
        make(sounds.module, tmp_path / str(rank), sorted(linears), rank=rank, seed=rank) for rank in (4, 16)
    ]
    for size in sounds.sizes[:3]:
        feeds = {name: values.numpy() for name, values in sounds.example(3, size).items()}
        with contextlib.ExitStack() as held:
            holds = [body.slots.hold(str(one.folder), lambda one=one: one.weights(body)) for one in made]  # type: ignore[misc]
            found = body.run(feeds, [BARE, *map(held.enter_context, holds)])
        with torch.no_grad():
            bare = sounds.module(**{name: torch.from_numpy(values) for name, values in feeds.items()}).numpy()
        for place, expected in enumerate((bare, *(one.vectors(feeds) for one in made))):
            assert apart(found[place], expected[place]) <= 1e-4
