"""Bodies for sounds under a new head: padding, kept activations and the exported graph agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import AutoModel, WhisperForConditionalGeneration

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.activations import Activations
from adapters.training.export import export
from adapters.training.gate import Expected, answers_of, prove, prove_shapes
from adapters.training.recipe import load_recipe
from adapters.training.sounds.classification import SoundAdaptation
from tests.tiny_sounds import write_sound_checkpoint
from tests.zoo.tasks.processors.sound_files import sound_of, tone
from zoo.catalogue.entry import ModelEntry
from zoo.engine.predictor import MODEL_FILE
from zoo.errors import Unsupported

LABELS = ("high", "low")
HERTZ = {"high": 2600.0, "low": 300.0}


class Clip:
    """Stands for a file of an uploaded zip."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self) -> bytes:
        return self.data


def examples(lengths: list[float]) -> list[Example]:
    made: list[Example] = []
    for place, seconds in enumerate(lengths):
        label = LABELS[place % 2]
        file: Any = Clip(sound_of(tone(seconds, hertz=HERTZ[label] + 10 * place)))
        made.append(Example(place + 1, place + 1, {"label": label}, {"audio": file}, fingerprint=str(place)))
    return made


def entry_of(**fields: Any) -> ModelEntry:
    return ModelEntry(
        name="ears",
        version=1,
        task="audio-classification",
        modality="audio",
        architecture="whisper",
        licence="MIT",
        created=0,
        **fields,
    )


KINDS: dict[str, dict[str, Any]] = {
    "whisper-asr": {},
    "wav2vec2": {},
    "hubert": {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    "ast": {},
}
LENGTHS = [0.31, 1.0, 0.03, 2.27, 0.5]


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound_checkpoint(tmp_path_factory.mktemp("body"), request.param, **KINDS[request.param])


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound_checkpoint(tmp_path_factory.mktemp("recogniser"), "whisper-asr")


def adaptation_of(checkpoint: Path) -> SoundAdaptation:
    torch.manual_seed(3)
    made: Any = load_recipe("audio-classification").adapt(
        checkpoint, entry_of(), [], labels=LABELS, asked=Hyperparameters()
    )
    assert isinstance(made, SoundAdaptation)
    return made


@torch.no_grad()
def test_padding_in_a_batch_changes_no_answer(checkpoint: Path) -> None:
    adaptation = adaptation_of(checkpoint)
    items = adaptation.encode(examples(LENGTHS))
    together = adaptation.network(**adaptation.collate(items))
    for item, row in zip(items, together, strict=True):
        torch.testing.assert_close(adaptation.network(**adaptation.collate([item]))[0], row, atol=1e-5, rtol=1e-5)


def test_a_clip_costs_what_it_is_long(recogniser: Path) -> None:
    assert [item.length for item in adaptation_of(recogniser).encode(examples(LENGTHS))] == [16, 50, 2, 114, 25]


@torch.no_grad()
def test_the_layers_are_those_of_the_recogniser(recogniser: Path) -> None:
    adaptation = adaptation_of(recogniser)
    sound = torch.randn(2, 3000, 80, generator=torch.Generator().manual_seed(5))
    theirs: Any = WhisperForConditionalGeneration.from_pretrained(recogniser).eval()
    expected = theirs.model.encoder(sound.transpose(1, 2)).last_hidden_state
    vector = adaptation.body(sound, torch.ones(2, 3000, dtype=torch.long))
    assert_mean_and_deviation(vector, expected)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
@torch.no_grad()
def test_the_layers_are_those_of_the_network_of_waves(tmp_path: Path, kind: str) -> None:
    checkpoint = write_sound_checkpoint(tmp_path, kind, **KINDS[kind])
    adaptation = adaptation_of(checkpoint)
    sound = torch.randn(2, 6000, generator=torch.Generator().manual_seed(5))
    expected = AutoModel.from_pretrained(checkpoint).eval()(sound).last_hidden_state
    assert_mean_and_deviation(adaptation.body(sound, torch.ones(2, 6000, dtype=torch.long)), expected)


@torch.no_grad()
def test_the_vector_is_what_the_spectrogram_transformer_pools(tmp_path: Path) -> None:
    checkpoint = write_sound_checkpoint(tmp_path, "ast")
    sound = torch.randn(2, 40, 16, generator=torch.Generator().manual_seed(5))
    expected = AutoModel.from_pretrained(checkpoint).eval()(sound).pooler_output
    vector = adaptation_of(checkpoint).body(sound)[:, : expected.shape[-1]]
    torch.testing.assert_close(vector, functional.normalize(expected, dim=-1), atol=1e-5, rtol=1e-4)


def assert_mean_and_deviation(vector: torch.Tensor, expected: torch.Tensor) -> None:
    width = expected.shape[-1]
    mean = functional.normalize(expected.mean(dim=1), dim=-1)
    deviation = functional.normalize(expected.std(dim=1, unbiased=False), dim=-1)
    torch.testing.assert_close(vector[:, :width], mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(vector[:, width : 2 * width], deviation, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cut", [1, 2])
def test_from_kept_activations_it_answers_as_from_the_clips(checkpoint: Path, cut: int) -> None:
    adaptation = adaptation_of(checkpoint)
    items = adaptation.encode(examples(LENGTHS))
    activations = Activations(adaptation, cut)
    features = activations.gather(items)
    with torch.no_grad():
        whole = adaptation.network(**adaptation.collate(items))
        kept = activations.outputs(items)
        assert features is not None
        torch.testing.assert_close(adaptation.head(features), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(kept, whole, atol=1e-5, rtol=1e-5)


def test_served_it_answers_as_trained(checkpoint: Path, tmp_path: Path) -> None:
    adaptation = adaptation_of(checkpoint)
    servable, rows = adaptation.servable(), examples(LENGTHS)
    export(servable, tmp_path / MODEL_FILE)
    prove_shapes(tmp_path, answers_of(servable), threads=1)
    entry = entry_of(labels=servable.labels, options=servable.options, limits=servable.limits)
    with torch.no_grad():
        trained = adaptation.network(**adaptation.collate(adaptation.encode(rows)))
    requests = [adaptation.request(example) for example in rows]
    expected = Expected.of_rows(requests, trained, lambda at, body: adaptation.agrees(trained[at], body, rows[at]))
    parity = prove(tmp_path, entry, expected, threads=1)
    assert (parity.rows, parity.argmax_agreement) == (5, 1.0)
    assert np.isfinite(parity.max_abs_difference)


def test_a_classifier_of_clips_gives_its_encoder(tmp_path: Path) -> None:
    adaptation = adaptation_of(write_sound_checkpoint(tmp_path, "whisper"))
    assert adaptation.head.in_features == 3 * 32


@torch.no_grad()
def test_a_vector_that_only_pre_training_uses_may_be_missing(tmp_path: Path) -> None:
    checkpoint = write_sound_checkpoint(tmp_path, "wav2vec2")
    before = adaptation_of(checkpoint)
    weights = load_file(checkpoint / "model.safetensors")
    del weights["wav2vec2.masked_spec_embed"]
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    batch = before.collate(before.encode(examples([0.2])))
    torch.testing.assert_close(adaptation_of(checkpoint).body(**batch), before.body(**batch))


def test_layers_behind_the_encoder_are_not_left_out_in_silence(tmp_path: Path) -> None:
    config = json.loads((write_sound_checkpoint(tmp_path, "wav2vec2") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "add_adapter": True}))
    with pytest.raises(Unsupported, match="add_adapter") as caught:
        adaptation_of(tmp_path)
    assert caught.value.code == "not_adaptable"


def test_networks_of_other_kinds_cannot_be_adapted_to_sounds(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    with pytest.raises(Unsupported, match="there are whisper, wav2vec2") as caught:
        adaptation_of(tmp_path)
    assert caught.value.code == "not_adaptable"
