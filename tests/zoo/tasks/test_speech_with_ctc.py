"""automatic-speech-recognition with CTC: letters, words and times as transformers' pipeline has them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import pipeline

from adapters.training.checkpoint import infer_task
from adapters.training.recipe import Servable, load_recipe
from tests.imports import Imports
from tests.tiny_ctc import LARGE, write_ctc_checkpoint
from tests.zoo.tasks.processors.sound_files import sound_of
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.automatic_speech_recognition import AutomaticSpeechRecognition
from zoo.tasks.decoding.transcript import Transcript, joined
from zoo.tasks.task import Array

TASK = "automatic-speech-recognition"
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("wav2vec2", {}),
    "hubert of the large kind": ("hubert", {**LARGE, "normalise": False, "tokenizer": {"do_lower_case": True}}),
}


def noise(seconds: float, seed: int) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    swell = np.sin(np.linspace(0, 9 * seconds + seed, round(16_000 * seconds)))
    return np.asarray(0.3 * swell * draw.standard_normal(round(16_000 * seconds)), dtype=np.float32)


@dataclass(frozen=True)
class Both:
    """The task with torch in the place of a session, and transformers' pipeline with the same checkpoint."""

    task: AutomaticSpeechRecognition
    graph: Any
    theirs: Callable[..., dict[str, Any]]

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        return [self.graph(**{name: torch.from_numpy(values) for name, values in feeds.items()}).numpy()]

    def predict(self, sounds: list[bytes], asked: dict[str, Any]) -> list[Any]:
        parameters = self.task.parameters(asked)
        batch = [self.task.preprocess(sound, parameters) for sound in sounds]
        rows = self.task.run(batch, self.run)  # type: ignore[arg-type]
        return [self.task.postprocess(row, one, parameters) for row, one in zip(rows, batch, strict=True)]

    def listen(self, sound: bytes, asked: dict[str, Any]) -> list[Transcript]:
        return list(self.task.listen(io.BytesIO(sound), self.task.parameters(asked), self.run, eager=True))  # type: ignore[arg-type]

    def answers(self, samples: NDArray[np.float32], **asked: Any) -> tuple[Any, Any]:
        with torch.no_grad():
            expected = self.theirs(samples.copy(), **asked)
        for chunk in expected.get("chunks", []):
            chunk["timestamp"] = pytest.approx(list(chunk["timestamp"]))
        return self.predict([sound_of(samples, subtype="FLOAT")], asked)[0], expected


def entry_of(servable: Servable) -> ModelEntry:
    return ModelEntry(
        name="ears",
        version=1,
        task=TASK,
        modality="audio",
        architecture=servable.architecture,
        licence="Apache-2.0",
        created=0,
        limits=servable.limits,
        options=servable.options,
    )


def both_of(name: str, folder: Path) -> Both:
    kind, config = KINDS[name]
    checkpoint = write_ctc_checkpoint(folder, kind, **config)
    assert infer_task(checkpoint) == TASK
    servable = load_recipe(TASK).load(checkpoint)
    task = AutomaticSpeechRecognition(entry_of(servable), folder)
    return Both(task, servable.module, pipeline(TASK, model=str(checkpoint), device="cpu"))


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return both_of(request.param, tmp_path_factory.mktemp("checkpoint"))


def test_the_exported_graph_serves_it(imports: Imports, tmp_path: Path) -> None:
    imports.bring(tmp_path, "ears", write_ctc_checkpoint(tmp_path / "checkpoint", "wav2vec2"))
    store = Store(tmp_path)
    predictor = Predictor(store.entry("ears", 1), store.folder("ears", 1), threads=1)
    body: Any = predictor.predict(sound_of(noise(1.0, 1), subtype="FLOAT"), {"return_timestamps": "word"}).body
    assert body["text"] == " ".join(chunk["text"] for chunk in body["chunks"])


@pytest.mark.parametrize("asked", [{}, {"return_timestamps": "char"}, {"return_timestamps": "word"}])
@pytest.mark.parametrize("seconds", [0.3, 1.7])
def test_a_clip_is_written_as_the_pipeline_writes_it(both: Both, seconds: float, asked: dict[str, Any]) -> None:
    ours, theirs = both.answers(noise(seconds, 1), **asked)
    assert ours == theirs
    assert len(ours["text"]) > 2


@pytest.mark.parametrize("stride", [None, 0.2, (0.3, 0.1), 0.0])
@pytest.mark.parametrize("seconds", [0.9, 1.0, 3.7])
def test_a_recording_in_pieces_is_written_as_the_pipeline_writes_it(both: Both, seconds: float, stride: Any) -> None:
    asked = {"chunk_length_s": 1.0, "return_timestamps": "word"}
    ours, theirs = both.answers(
        noise(seconds, 2), **asked, **({"stride_length_s": stride} if stride is not None else {})
    )
    assert ours == theirs


def test_a_recording_that_is_heard_piece_by_piece_is_what_it_is_as_a_whole(both: Both) -> None:
    samples, asked = noise(7.0, 3), {"chunk_length_s": 1.0, "return_timestamps": "word"}
    sound = sound_of(samples, subtype="FLOAT")
    heard = both.listen(sound, asked)
    (whole,) = both.predict([sound], asked)
    together = joined(heard)
    assert len(heard) > 1
    assert together.text == whole["text"]
    assert together.seconds == pytest.approx(7.0)
    assert [word.text for word in together.words] == [chunk["text"] for chunk in whole["chunks"]]
    assert [word.start for word in together.words] == pytest.approx([one["timestamp"][0] for one in whole["chunks"]])


def test_segments_are_the_text(both: Both) -> None:
    (body,) = both.predict([sound_of(noise(3.0, 4), subtype="FLOAT")], {"return_timestamps": True})
    assert "".join(chunk["text"] for chunk in body["chunks"]).strip() == body["text"]
    times = [moment for chunk in body["chunks"] for moment in chunk["timestamp"]]
    assert times == sorted(times)


def test_clips_of_all_lengths_are_answered_together_as_each_alone(both: Both) -> None:
    clips = [sound_of(noise(seconds, seed), subtype="FLOAT") for seed, seconds in enumerate((0.6, 0.01, 0.6, 1.1))]
    assert both.predict(clips, {}) == [both.predict([one], {})[0] for one in clips]


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"task": "translate"}, "task"),
        ({"prompt": "names"}, "prompt"),
        ({"num_beams": 3}, "num_beams"),
        ({"temperature": 0.5}, "temperature"),
        ({"chunk_length_s": 1.0, "stride_length_s": 0.5}, "stride_length_s"),
        ({"chunk_length_s": 60.0, "stride_length_s": 29.99}, "stride_length_s"),
        ({"chunk_length_s": 1.0, "stride_length_s": [0.1, 0.41]}, "stride_length_s"),
        ({"stride_length_s": 1e308}, "stride_length_s"),
        ({"stride_length_s": -1.0}, "stride_length_s"),
        ({"chunk_length_s": 1000.0}, "chunk_length_s"),
    ],
)
def test_wishes_that_it_cannot_meet_are_refused_by_name(both: Both, asked: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        both.predict([sound_of(noise(0.5, 1))], asked)
    assert caught.value.param is not None and caught.value.param.startswith(f"parameters.{fault}")


@pytest.mark.parametrize(
    ("file", "content", "error", "word"),
    [
        ("vocab.json", "{}", InvalidInput, "vocab.json"),
        ("vocab.json", '{"A": "one"}', InvalidInput, "places"),
        ("vocab.json", '{"A": 0}', InvalidInput, "pad_token"),
        ("config.json", {"model_type": "data2vec-audio"}, Unsupported, "data2vec-audio"),
        ("config.json", {"add_adapter": True}, Unsupported, "adapter"),
        ("preprocessor_config.json", "{}", InvalidInput, "preprocessor_config.json"),
    ],
)
def test_files_that_contradict_each_other_are_refused(
    tmp_path: Path, file: str, content: Any, error: type[Exception], word: str
) -> None:
    path = write_ctc_checkpoint(tmp_path, "wav2vec2") / file
    written = content if isinstance(content, str) else json.dumps(json.loads(path.read_text()) | content)
    path.write_text(written)
    with pytest.raises(error, match=word):
        load_recipe(TASK).load(tmp_path)
