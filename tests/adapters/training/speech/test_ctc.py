"""Recognisers with CTC learn to spell: letters, padded batches, and a job from zip to published version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import HubertForCTC, Wav2Vec2ForCTC

from adapters.datasets import Example
from adapters.jobs import Hyperparameters, JobKind, JobSpec
from adapters.training import adapt
from adapters.training.speech.ctc import Spelling
from adapters.training.speech.ctc_network import TaughtCtc
from tests.adapters.training.quiet_context import context_for
from tests.adapters.training.tiny_speech import clips, sung, uploaded
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_ctc import write_ctc_checkpoint
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput
from zoo.tasks.decoding.ctc import Letters

SPELLED = {"high": "Abe", "low": "cab."}
SPELLING = Spelling(
    Letters(letters=("<pad>", "|", *"INOST'"), blank="<pad>", delimiter="|", space=" ", lower=False, step=320)
)
MODELS: dict[str, Any] = {"wav2vec2": Wav2Vec2ForCTC, "hubert": HubertForCTC}


def said(text: str) -> Example:
    return Example(3, 4, {"text": text}, files={"audio": type("File", (), {"name": "a.wav"})()})


def test_transcripts_are_spelled_in_the_case_of_the_model_without_other_signs() -> None:
    spelled = SPELLING(said("It’s  (not) so, - no!"), frames=50)
    assert "".join("-|INOST'"[place] for place in spelled.letters.tolist()) == "IT'S|NOT|SO|NO"
    assert spelled.frames == 50


@pytest.mark.parametrize(("text", "sign"), [("it is 7", "'7'"), ("sö", "'ö'")])
def test_a_letter_that_the_model_does_not_know_is_named(text: str, sign: str) -> None:
    with pytest.raises(InvalidInput, match=rf"Row 3 \(a\.wav\): the model cannot write {sign}") as caught:
        SPELLING(said(text), frames=50)
    assert (caught.value.code, caught.value.param) == ("invalid_dataset", "training_file")


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
def test_a_clip_in_a_padded_batch_is_answered_as_if_it_were_alone(tmp_path: Path, kind: str) -> None:
    model = MODELS[kind].from_pretrained(write_ctc_checkpoint(tmp_path, kind)).eval()
    network = TaughtCtc(model).eval()
    sounds = [torch.randn(1, length) for length in (6000, 4000)]
    batch, heard = torch.zeros(2, 6000), torch.zeros(2, 6000, dtype=torch.long)
    for row, sound in enumerate(sounds):
        batch[row, : sound.shape[1]], heard[row, : sound.shape[1]] = sound[0], 1
    frames = torch.tensor([network.encoder.vectors(sound.shape[1]) for sound in sounds])
    with torch.no_grad():
        together = network(batch, frames, heard)
        for row, sound in enumerate(sounds):
            torch.testing.assert_close(together[row, : frames[row]], model(sound).logits[0], atol=1e-4, rtol=1e-4)


def test_a_recogniser_with_ctc_is_taught_and_served(imports: Imports, tmp_path: Path) -> None:
    zoo = TinyZoo(tmp_path / "home", tmp_path / "checkpoints")
    folder = write_ctc_checkpoint(zoo.checkpoints / "ears", "hubert")
    imports.bring(zoo.home, "ears", folder)
    fast = Hyperparameters(n_epochs=40, batch_size=8, learning_rate=0.01)
    given = {
        "model": "ears",
        "suffix": "notes",
        "hyperparameters": fast,
        "training_file": uploaded(zoo, clips(32, SPELLED)),
    }
    result = adapt.run(context_for(zoo.home, JobSpec(kind=JobKind.ADAPT, **given)), zoo.settings)
    assert result["metrics"]["heldout"]["wer"] < result["metrics"]["before"]["wer"]
    assert result["metrics"]["heldout"]["cer"] < 0.5
    entry = zoo.store.entry("notes", 1)
    assert entry.parity["argmax_agreement"] == 1.0
    losses = [line["valid_loss"] for line in entry.metrics["history"]]
    assert losses[-1] < losses[0]
    answer: Any = Predictor(entry, zoo.store.folder("notes", 1), threads=1).predict(sung("low", 7)).body
    assert set(answer) == {"text"}
