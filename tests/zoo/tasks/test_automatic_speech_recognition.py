"""automatic-speech-recognition: the text of a sound, through the predictor that serves, from an imported Whisper."""

from __future__ import annotations

import base64
import tracemalloc
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import WhisperForConditionalGeneration

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from tests.adapters.training.quiet_context import context_for
from tests.tiny_whisper import SPEAKING, SUPPRESSED, SUPPRESSED_FIRST, tiny_whisper, write_ctranslate2, write_tokenizer
from tests.zoo.tasks.processors.sound_files import silent_flac, sound_of
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.errors import ArtifactCorrupt, InvalidInput, Unsupported
from zoo.settings import Settings
from zoo.tasks.processors.log_mel import LogMel
from zoo.tasks.task import load_task

END, START, NO_TIMES = 256, 257, 264
SECONDS = 0.6  # the window of the tiny network
ROOM = 18  # of its 20 places are left for the text


@pytest.fixture(scope="module")
def whisper() -> WhisperForConditionalGeneration:
    """Sure of what it hears, so that no text is tried twice."""
    made = tiny_whisper(seed=8, vocabulary=SPEAKING)
    made.model.decoder.layer_norm.weight.mul_(20.0)
    return made


@pytest.fixture(scope="module")
def home(whisper: WhisperForConditionalGeneration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint, home = tmp_path_factory.mktemp("checkpoint"), tmp_path_factory.mktemp("home")
    write_tokenizer(write_ctranslate2(checkpoint, whisper, kind="float32"))
    (checkpoint / "vocabulary.txt").write_text("as CTranslate2 writes it")
    spec = JobSpec(kind=JobKind.IMPORT, model="ears", source={"kind": "folder", "path": str(checkpoint)})
    importing.run(context_for(home, spec), Settings(_env_file=None, home=home, worker_threads=1))
    return home


@pytest.fixture(scope="module")
def ears(home: Path) -> Predictor:
    store = Store(home)
    return Predictor(store.entry("ears", 1), store.folder("ears", 1), threads=1)


def noise(seed: int, seconds: float = SECONDS) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    swell = np.sin(np.linspace(0, 3 * seed + 1, round(16_000 * seconds)))
    return np.asarray(0.2 * swell * draw.standard_normal(round(16_000 * seconds)), dtype=np.float32)


def clip(seed: int, seconds: float = SECONDS) -> bytes:
    return sound_of(noise(seed, seconds), subtype="FLOAT")


def written(model: WhisperForConditionalGeneration, samples: NDArray[np.float32]) -> list[int]:
    """Greedy, by transformers' network alone."""
    features = torch.from_numpy(LogMel(bins=8)(samples, 60))[None]
    tokens: list[int] = [START, NO_TIMES]
    while len(tokens) < ROOM + 2:
        logits = model(features, decoder_input_ids=torch.tensor([tokens])).logits[0, -1]
        logits[[*SUPPRESSED, *range(START, SPEAKING)]] = -torch.inf
        if len(tokens) == 2:
            logits[SUPPRESSED_FIRST] = -torch.inf
        if (token := int(logits.argmax())) == END:
            break
        tokens.append(token)
    return tokens[2:]


@pytest.mark.parametrize("seed", range(6))
def test_a_whole_window_is_written_as_transformers_writes_it(
    home: Path, ears: Predictor, whisper: WhisperForConditionalGeneration, seed: int
) -> None:
    tokens = written(whisper, noise(seed))
    text = Tokenizer.from_file(str(home / "models" / "ears" / "1" / "tokenizer.json")).decode(tokens)
    assert ears.predict(clip(seed)).body == {"text": text.strip()}


def test_clips_of_all_lengths_are_answered_together_as_each_alone(ears: Predictor) -> None:
    clips = [clip(seed, seconds) for seed, seconds in enumerate((0.6, 0.1, 1.7, 0.31, 0.6))]
    together: Any = ears.predict(clips).body
    assert together == [ears.predict(one).body for one in clips]


def test_recordings_and_clips_in_one_list_are_answered_as_each_alone(ears: Predictor) -> None:
    sounds = [clip(3, 2.9), clip(1), b"hello", clip(4, 6.1), clip(5, 0.3)]
    together: Any = ears.predict(sounds).body
    assert "error" in together.pop(2)
    assert together == [ears.predict(one).body for one in sounds if one != b"hello"]


def test_a_recording_that_is_cut_off_further_on_fails_alone(ears: Predictor) -> None:
    whole = sound_of(noise(2, 30.0), "FLAC")
    answers: Any = ears.predict([clip(1), whole[: len(whole) // 2]]).body
    assert answers[0] == ears.predict(clip(1)).body
    assert answers[1]["code"] == "invalid_audio"


def test_an_hour_is_never_held_whole(home: Path) -> None:
    task = load_task(Store(home).entry("ears", 1), Store(home).folder("ears", 1))
    hour = silent_flac(60)
    tracemalloc.start()
    try:
        speech: Any = task.preprocess(hour, task.parameters({}))
        last = deque(speech.recording, maxlen=1).pop()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 3599 < last[0] / 16_000 < 3600
    assert peak < 8e6  # decoded it is 230 MB


def test_requests_of_several_threads_are_answered_as_each_alone(ears: Predictor) -> None:
    sounds = [clip(seed, 0.1 + 0.2 * seed) for seed in range(8)]
    alone = [ears.predict(sound).body for sound in sounds]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda sound: ears.predict(sound).body, sounds)) == alone


def test_chunks_follow_one_another_within_the_recording(ears: Predictor) -> None:
    body: Any = ears.predict(clip(2, 2.0), {"return_timestamps": True}).body
    times = [moment for chunk in body["chunks"] for moment in chunk["timestamp"]]
    assert times == sorted(times)
    assert 0 <= times[0] and times[-1] <= 2.0
    assert "".join(chunk["text"] for chunk in body["chunks"]).strip() == body["text"]


def test_base64_is_answered_as_the_bytes_are(ears: Predictor) -> None:
    assert ears.predict(base64.b64encode(clip(1)).decode()).body == ears.predict(clip(1)).body


def test_what_was_said_before_changes_what_is_written(ears: Predictor) -> None:
    assert ears.predict(clip(1), {"prompt": "lantern"}).body != ears.predict(clip(1)).body


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"language": "de"}, "language"),
        ({"task": "translate"}, "task"),
        ({"beams": 3}, "beams"),
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 1000}, "num_beams"),
        ({"length_penalty": "long"}, "length_penalty"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"generation_parameters": 3}, "generation_parameters"),
        ({"generation_parameters": {"do_sample": True}}, "do_sample"),
        ({"generate_kwargs": {"num_beams": 0}}, "num_beams"),
        ({"generate_kwargs": 5}, "parameters: generate_kwargs has to be an object"),
    ],
)
def test_wishes_that_the_model_cannot_meet_are_refused_by_name(
    ears: Predictor, parameters: dict[str, object], fault: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        ears.predict(clip(1), parameters)
    assert fault in f"{caught.value.param} {caught.value.message}"


def test_several_texts_side_by_side_may_find_another_one(ears: Predictor) -> None:
    clips = [clip(seed) for seed in range(6)]
    one, narrow, wide = (ears.predict(clips, asked).body for asked in ({}, {"num_beams": 1}, {"num_beams": 4}))
    assert one == narrow != wide


@pytest.mark.parametrize("name", ["generation_parameters", "generate_kwargs"])
def test_what_is_asked_for_as_the_pipeline_has_it_counts_as_if_it_stood_beside(ears: Predictor, name: str) -> None:
    inner = {"num_beams": 3, "length_penalty": 2.0, "max_new_tokens": 4}
    outer = ears.rows([clip(2)], inner)
    assert ears.rows([clip(2)], {name: inner}) == outer
    assert ears.rows([clip(2)], {name: {**inner, "num_beams": 9}, "num_beams": 3}) == outer


def test_no_more_tokens_are_written_than_asked_for(ears: Predictor) -> None:
    (spoken,) = ears.rows([clip(1)], {"max_new_tokens": 3})[0]
    assert len(spoken.tokens) <= 3


@pytest.mark.parametrize(("item", "error"), [(b"hello", Unsupported), (b"", InvalidInput), (7, InvalidInput)])
def test_what_is_no_sound_fails_alone(ears: Predictor, item: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        ears.predict(item)
    answers: Any = ears.predict([item, clip(1)]).body
    assert "error" in answers[0] and "text" in answers[1]


def test_a_version_without_its_decoder_says_so(home: Path, tmp_path: Path) -> None:
    store = Store(home)
    for path in store.folder("ears", 1).iterdir():
        if path.is_file() and path.name != "decoder.onnx":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ArtifactCorrupt):
        Predictor(store.entry("ears", 1), tmp_path, threads=1).warm()
