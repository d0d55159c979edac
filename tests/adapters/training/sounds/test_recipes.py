"""Imported sound classifiers answer as transformers' pipeline does on the same checkpoint, through what serves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import pipeline

from adapters.training.checkpoint import infer_task
from adapters.training.recipe import load_recipe
from tests.imports import Imports
from tests.tiny_sounds import LABELS, write_sound_checkpoint
from tests.zoo.tasks.processors.sound_files import sound_of
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, Unsupported

TASK = "audio-classification"
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "use_weighted_layer_sum": True}
ONE = {"num_hidden_layers": 1}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("wav2vec2", ONE),
    "wav2vec2 of the large kind": ("wav2vec2", STABLE),
    "hubert": ("hubert", ONE),
    "ast": ("ast", ONE),
    "whisper": ("whisper", {"use_weighted_layer_sum": True}),
    "several labels at once": ("ast", {**ONE, "problem_type": "multi_label_classification"}),
}


def noise(seconds: float, seed: int) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    swell = np.sin(np.linspace(0, seed + 1, round(16_000 * seconds)))
    return np.asarray(0.2 * swell * draw.standard_normal(round(16_000 * seconds)), dtype=np.float32)


def served(imports: Imports, checkpoint: Path, home: Path) -> Predictor:
    """Imported, and loaded as the server would."""
    imports.bring(home, "mine", checkpoint)
    store = Store(home)
    return Predictor(store.entry("mine", 1), store.folder("mine", 1), threads=1)


@pytest.mark.parametrize("name", KINDS)
def test_answers_are_those_of_transformers(imports: Imports, tmp_path: Path, name: str) -> None:
    kind, config = KINDS[name]
    checkpoint = write_sound_checkpoint(tmp_path / "checkpoint", kind, **config)
    assert infer_task(checkpoint) == TASK
    predictor, theirs = served(imports, checkpoint, tmp_path), pipeline(TASK, model=str(checkpoint), device="cpu")
    clips = [noise(seconds, seed) for seed, seconds in enumerate([1.0, 0.4, 2.3, 0.4])]
    bodies: Any = predictor.predict([sound_of(samples, subtype="FLOAT") for samples in clips]).body
    for samples, body in zip(clips, bodies, strict=True):
        with torch.no_grad():
            expected = {item["label"]: item["score"] for item in theirs(samples)}
        assert {item["label"]: item["score"] for item in body} == pytest.approx(expected, abs=1e-4)
        assert set(expected) == set(LABELS)


@pytest.mark.parametrize(
    "asked",
    [
        {"top_k": 2},
        {"top_k": 9},
        {"function_to_apply": "sigmoid"},
        {"function_to_apply": "none", "top_k": 1},
        {"function_to_apply": "softmax"},
    ],
)
def test_what_is_asked_for_is_what_transformers_makes_of_it(
    asked: dict[str, Any], several_labels: tuple[Predictor, Any]
) -> None:
    predictor, theirs = several_labels
    samples = noise(0.4, 3)
    body: Any = predictor.predict(sound_of(samples, subtype="FLOAT"), asked).body
    with torch.no_grad():
        expected = theirs(samples, **asked)
    assert [item["label"] for item in body] == [item["label"] for item in expected]
    assert [item["score"] for item in body] == pytest.approx([item["score"] for item in expected], abs=1e-4)


@pytest.fixture(scope="module")
def several_labels(imports: Imports, tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Any]:
    """A checkpoint that gives a sigmoid of each label unless another function is asked for, and the pipeline of it."""
    home = tmp_path_factory.mktemp("several")
    kind, config = KINDS["several labels at once"]
    checkpoint = write_sound_checkpoint(home / "checkpoint", kind, **config)
    return served(imports, checkpoint, home), pipeline(TASK, model=str(checkpoint), device="cpu")


def changed(checkpoint: Path, name: str, **values: Any) -> Path:
    path = checkpoint / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return checkpoint


@pytest.mark.parametrize(
    ("kind", "values", "word"),
    [
        ("ast", {"num_mel_bins": 8}, "its own network does not take"),
        ("ast", {"std": 0}, "std"),
        ("ast", {"max_length": "long"}, "max_length"),
        ("whisper", {"chunk_length": 20}, "its own network does not take"),
        ("wav2vec2", {"do_normalize": "yes"}, "do_normalize"),
    ],
)
def test_settings_that_contradict_the_network_are_refused(
    tmp_path: Path, kind: str, values: dict[str, Any], word: str
) -> None:
    checkpoint = changed(write_sound_checkpoint(tmp_path, kind), "preprocessor_config.json", **values)
    with pytest.raises(InvalidInput, match=word) as caught:
        load_recipe(TASK).load(checkpoint)
    assert caught.value.code == "invalid_checkpoint"


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("preprocessor_config.json", {"sampling_rate": 8000}, "unsupported_preprocessing"),
        ("config.json", {"problem_type": "regression"}, "unsupported_task"),
        ("config.json", {"architectures": ["HubertModel"]}, "unsupported_task"),
    ],
)
def test_what_this_release_does_not_have_is_refused(
    tmp_path: Path, name: str, values: dict[str, Any], code: str
) -> None:
    checkpoint = changed(write_sound_checkpoint(tmp_path, "hubert"), name, **values)
    with pytest.raises(Unsupported) as caught:
        load_recipe(TASK).load(checkpoint)
    assert caught.value.code == code


def test_a_checkpoint_that_does_not_say_how_it_hears_is_refused(tmp_path: Path) -> None:
    checkpoint = write_sound_checkpoint(tmp_path, "ast")
    (checkpoint / "preprocessor_config.json").unlink()
    with pytest.raises(InvalidInput, match=r"lacks a preprocessor_config\.json"):
        load_recipe(TASK).load(checkpoint)
