"""The fine-tune job on speech, from zip to published version, on a tiny Whisper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import WhisperForConditionalGeneration

from adapters.jobs import Hyperparameters, JobKind, JobPreempted, JobSpec
from adapters.training import adapt
from adapters.training.layouts.whisper import read_whisper
from adapters.training.speech import whisper
from adapters.training.speech.scores import speech_scores
from tests.adapters.training.quiet_context import QuietContext, context_for
from tests.adapters.training.tiny_speech import WORDS, clips, copied, publish_linguist, speech_zoo, sung, uploaded
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.zoo.tasks.processors.sound_files import sound_of, tone
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput
from zoo.tasks.automatic_speech_recognition import EncodedSpeech
from zoo.tasks.task import load_task

FAST = Hyperparameters(n_epochs=3, batch_size=8, learning_rate=0.01)


def asked(zoo: TinyZoo, file: str, *, job: str = "ftjob-1", stop_at: int | None = None, **spec: Any) -> QuietContext:
    given = {"kind": JobKind.ADAPT, "model": "ears", "suffix": "notes", "hyperparameters": FAST, "training_file": file}
    return context_for(zoo.home, JobSpec(**(given | spec)), job=job, stop_at=stop_at)


@pytest.fixture(scope="module")
def ears(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    return speech_zoo(imports, tmp_path_factory.mktemp("ears"))


@pytest.fixture
def own_ears(ears: TinyZoo, tmp_path: Path) -> TinyZoo:
    return copied(ears, tmp_path)


@pytest.fixture(scope="module")
def adapted(ears: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyZoo, dict[str, Any], QuietContext]:
    zoo = copied(ears, tmp_path_factory.mktemp("adapted"))
    context = asked(zoo, uploaded(zoo, clips(40)), seed=2)
    return zoo, adapt.run(context, zoo.settings), context


def heard(zoo: TinyZoo, name: str, sounds: list[bytes]) -> list[str]:
    entry = zoo.store.entry(name, 1)
    answers: Any = Predictor(entry, zoo.store.folder(name, 1), threads=1).predict(sounds).body
    return [answer["text"] for answer in answers]


def test_the_adapted_model_writes_what_it_was_taught(adapted: tuple[TinyZoo, dict[str, Any], QuietContext]) -> None:
    zoo, _, _ = adapted
    fresh = [(word, sung(word, 90_000 + place)) for word in WORDS for place in range(8)]
    sounds, words = [sound for _, sound in fresh], [word for word, _ in fresh]
    before, after = (speech_scores(heard(zoo, name, sounds), words)["wer"] for name in ("ears", "notes"))
    assert before >= 1.0
    assert after <= 0.25
    assert set(heard(zoo, "notes", sounds)) >= {"High.", "Low."}


def test_figures_are_those_of_before_and_after(adapted: tuple[TinyZoo, dict[str, Any], QuietContext]) -> None:
    zoo, result, context = adapted
    entry = zoo.store.entry("notes", 1)
    assert (entry.task, entry.labels, entry.base) == ("automatic-speech-recognition", (), "ears@1")
    assert set(result["metrics"]) == {"heldout", "before"}
    assert result["metrics"]["heldout"]["wer"] < result["metrics"]["before"]["wer"]
    assert set(entry.metrics["before"]) == {"wer", "cer"}
    assert any(message.startswith("ears as it is: wer ") for message in context.messages)
    card = (zoo.store.folder("notes", 1) / "README.md").read_text()
    assert "| ears@1 as it is |" in card and "lower case without punctuation" in card


def test_the_gate_found_the_served_graphs_to_write_the_same(
    adapted: tuple[TinyZoo, dict[str, Any], QuietContext],
) -> None:
    zoo, _, _ = adapted
    entry = zoo.store.entry("notes", 1)
    assert entry.parity["argmax_agreement"] == 1.0
    assert entry.parity["max_abs_difference"] <= 1e-4
    assert {file.path for file in entry.files} >= {"model.onnx", "decoder.onnx", "tokenizer.json"}


def test_an_adapted_model_writes_five_texts_side_by_side_unless_a_request_says_otherwise(
    adapted: tuple[TinyZoo, dict[str, Any], QuietContext],
) -> None:
    zoo, _, _ = adapted
    entry, folder = zoo.store.entry("notes", 1), zoo.store.folder("notes", 1)
    task = load_task(entry, folder)
    by_itself, asked = (task.preprocess(sung("high", 7), task.parameters(given)) for given in ({}, {"num_beams": 1}))
    assert isinstance(by_itself, EncodedSpeech) and isinstance(asked, EncodedSpeech)
    assert (by_itself.asked.beams.count, asked.asked.beams.count) == (5, 1)


def test_peft_loads_the_adapter_onto_the_recogniser(adapted: tuple[TinyZoo, dict[str, Any], QuietContext]) -> None:
    zoo, _, _ = adapted
    folder = zoo.store.folder("notes", 1) / "adapter"
    names = load_file(folder / "adapter_model.safetensors")
    assert {part for part in ("encoder", "decoder") if any(f"model.{part}.layers" in name for name in names)} == {
        "encoder",
        "decoder",
    }
    model = WhisperForConditionalGeneration.from_pretrained(zoo.checkpoints / "ears")
    wrapped = PeftModel.from_pretrained(model, str(folder)).eval()
    base = read_whisper(zoo.checkpoints / "ears").model
    given = {"input_features": torch.randn(1, 8, 60), "decoder_input_ids": torch.tensor([[257, 264]])}
    with torch.no_grad():
        assert not torch.allclose(wrapped(**given).logits, base(**given).logits)


def test_a_preempted_job_resumes_and_ends_with_the_same_bits(own_ears: TinyZoo) -> None:
    zoo = own_ears
    file, fast = uploaded(zoo, clips(12)), Hyperparameters(n_epochs=2, batch_size=4, learning_rate=0.005)
    adapt.run(asked(zoo, file, job="whole", suffix="whole", hyperparameters=fast), zoo.settings)
    with pytest.raises(JobPreempted):
        adapt.run(asked(zoo, file, job="cut", suffix="cut", hyperparameters=fast, stop_at=6), zoo.settings)
    resumed = asked(zoo, file, job="cut", suffix="cut", hyperparameters=fast)
    adapt.run(resumed, zoo.settings)
    assert "Resumed from step 6" in resumed.messages
    whole, cut = (zoo.store.folder(name, 1) / "adapter" / "adapter_model.safetensors" for name in ("whole", "cut"))
    for name, tensor in load_file(whole).items():
        assert torch.equal(tensor, load_file(cut)[name]), name


def test_a_multilingual_model_is_taught_in_the_language_that_it_hears(own_ears: TinyZoo) -> None:
    zoo = own_ears
    publish_linguist(zoo)
    result = adapt.run(asked(zoo, uploaded(zoo, clips(24)), model="tongues", seed=2), zoo.settings)
    assert result["metrics"]["heldout"]["wer"] < result["metrics"]["before"]["wer"]
    assert zoo.store.entry("notes", 1).options["whisper"]["multilingual"] is True


def test_what_learns_nothing_is_published_as_it_was(own_ears: TinyZoo) -> None:
    zoo = own_ears
    harmful = Hyperparameters(n_epochs=1, batch_size=16, learning_rate=1e-9)
    context = asked(zoo, uploaded(zoo, clips(12)), hyperparameters=harmful)
    result = adapt.run(context, zoo.settings)
    assert result["metrics"]["heldout"]["wer"] == result["metrics"]["before"]["wer"]
    assert any(message.startswith("Of the training 0% is kept") for message in context.messages)
    sounds = [sung("low", 7), sung("high", 8)]
    assert heard(zoo, "notes", sounds) == heard(zoo, "ears", sounds)


def test_a_transcript_that_the_model_cannot_write_at_once_is_named(own_ears: TinyZoo) -> None:
    zoo = own_ears
    files = clips(12)
    files["metadata.csv"] = str(files["metadata.csv"]).replace('low3.flac,"Low."', 'low3.flac,"So very low a note."')
    with pytest.raises(InvalidInput, match=r"Row 16 \(low3.flac\): its transcript has 20 tokens") as caught:
        adapt.run(asked(zoo, uploaded(zoo, files)), zoo.settings)
    assert (caught.value.code, caught.value.param) == ("invalid_dataset", "training_file")


def test_a_clip_that_is_longer_than_the_window_is_named(own_ears: TinyZoo) -> None:
    zoo = own_ears
    files = clips(12)
    files["low3.flac"] = sound_of(tone(0.9, hertz=250.0), "FLAC")
    with pytest.raises(InvalidInput, match=r"Row 16 \(low3.flac\): the clip is longer than the 0.6 s") as caught:
        adapt.run(asked(zoo, uploaded(zoo, files)), zoo.settings)
    assert caught.value.code == "invalid_dataset"


def test_of_many_clips_the_mean_of_two_trainings_is_published(
    own_ears: TinyZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper, "MANY", 12)
    zoo = own_ears
    fast = Hyperparameters(n_epochs=2, batch_size=8, learning_rate=0.01, lora_rank=2)
    context = asked(zoo, uploaded(zoo, clips(12)), hyperparameters=fast)
    adapt.run(context, zoo.settings)
    assert "Trained 2 times more, of which the mean is taken, on all 24 rows of the training file" in context.messages
    config = json.loads((zoo.store.folder("notes", 1) / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], zoo.store.entry("notes", 1).lineage["hyperparameters"]["lora_rank"]) == (4, 2)
