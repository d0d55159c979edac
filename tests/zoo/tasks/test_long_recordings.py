"""A long recording says what its clips say: joined with silences and noise, no word is lost, doubled or repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from adapters import importing
from adapters.jobs import JobKind, JobSpec
from benchmarks.spoken import longest_loop, read_clips, word_error_rate, write_recording
from tests.adapters.training.quiet_context import context_for
from tests.tiny_whisper import write_tokenizer
from tests.zoo.tasks.processors.sound_files import sound_of, tone
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.errors import SourceUnavailable
from zoo.settings import Settings
from zoo.tasks.automatic_speech_recognition import AutomaticSpeechRecognition
from zoo.tasks.decoding.transcript import joined
from zoo.tasks.task import Array, Run

DATA = Path(__file__).parents[3].parent / "shared" / "data"
RATE = 16_000
END, NO_TIMES, VOCABULARY = 256, 264, 265 + 1501
LETTERS = "abcdefgh"
HERTZ = (335, 670, 1005, 1420, 2000, 2840, 4000, 5650)  # of the eight bins' middles
LOUD, QUIET = 0.7, 20  # of a log-mel; frames without a tone that part two of them


class ToneReader:
    """Both graphs of a recogniser that hears eight tones as eight letters, each as often as it sounds."""

    def __init__(self, letters: Sequence[int]) -> None:
        self.letters = letters

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        heard = np.full((len(feeds["weights"]), 1, 1, 99), END)
        for row, features in enumerate(feeds["features"]):
            loud = np.flatnonzero(features.max(axis=0) > LOUD)
            tones = np.split(loud, np.flatnonzero(np.diff(loud) > QUIET) + 1) if len(loud) else []
            for place, frames in enumerate(tones):
                heard[row, 0, 0, place] = self.letters[int(features[:, frames].mean(axis=1).argmax())]
        return [heard, heard]

    def __getitem__(self, graph: str) -> Run:
        return self.decode

    def decode(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        rows, _, new = feeds["tokens"].shape
        past = feeds["past_key_0"]
        said = past.shape[3] + new - 2  # behind the prompt of two tokens
        logits = np.zeros((rows, 1, len(feeds["at"]), VOCABULARY), np.float32)
        logits[np.arange(rows), 0, -1, feeds["cross_key_0"][:, 0, 0, said]] = 20.0
        grown = np.concatenate([past, np.zeros((rows, 1, 1, new, 1), np.float32)], axis=3)
        return [logits, grown, grown]


def tones(letters: str, draw: np.random.Generator) -> NDArray[np.float32]:
    """A tone for each letter, between pauses of half a second to a minute, silent or noisy."""
    parts: list[NDArray[np.float32]] = []
    for letter in letters:
        pause = np.zeros(int(RATE * draw.choice([0.5, 1.0, 2.0, 8.0, 60.0], p=[0.4, 0.3, 0.2, 0.08, 0.02])), np.float32)
        if draw.random() < 0.5:
            pause = draw.normal(0, 0.003, len(pause)).astype(np.float32)
        parts += [pause, tone(draw.uniform(0.4, 3.0), hertz=HERTZ[LETTERS.index(letter)])]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> tuple[AutomaticSpeechRecognition, ToneReader]:
    folder = tmp_path_factory.mktemp("ears")
    write_tokenizer(folder)
    sizes = {"bins": 8, "places": 1500, "layers": 1, "heads": 1, "width": 1, "most_tokens": 448}
    options = {"whisper": {**sizes, "start": 257, "end": END, "no_times": NO_TIMES}}
    entry = ModelEntry(
        name="ears",
        version=1,
        task="automatic-speech-recognition",
        modality="audio",
        architecture="whisper",
        licence="mit",
        created=0,
        options=options,
    )
    task = AutomaticSpeechRecognition(entry, folder)
    letters = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return task, ToneReader(letters.encode(LETTERS, add_special_tokens=False).ids)


@pytest.mark.parametrize("eager", [True, False])
def test_each_sound_of_a_long_recording_is_written_once(
    listener: tuple[AutomaticSpeechRecognition, ToneReader], eager: bool
) -> None:
    draw = np.random.default_rng(4)
    letters = "".join(draw.choice(list(LETTERS), 150))
    sound = sound_of(tones(letters, draw), "FLAC")
    task, reader = listener
    found: list[Any] = list(task.listen(BytesIO(sound), task.parameters({}), reader, eager=eager))
    assert joined(found).text.replace(" ", "") == letters
    encoded = task.preprocess(sound, task.parameters({}))
    (row,) = task.run([encoded], reader)
    assert isinstance(row, list)
    assert task.postprocess(row, encoded, task.parameters({})) == {"text": letters}
    gaps = [later.start - before.end for before, later in zip(row, row[1:], strict=False)]
    assert min(gaps) == 0 and max(gaps) > 5  # nothing twice; long pauses are left out


@pytest.mark.real
@pytest.mark.timeout(900)
@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not on this machine")
def test_real_clips_are_understood_as_well_when_they_are_joined(tmp_path: Path) -> None:
    home = tmp_path / "home"
    spec = JobSpec(kind=JobKind.IMPORT, model="whisper-tiny-en")
    try:
        importing.run(context_for(home, spec), Settings(_env_file=None, home=home))
    except SourceUnavailable as error:
        pytest.skip(error.message)
    ears = Predictor(Store(home).entry("whisper-tiny-en", 1), Store(home).folder("whisper-tiny-en", 1), threads=1)
    clips = read_clips(DATA / "asr_kathleen" / "test.zip")[:40]
    alone: Any = ears.predict([clip.sound for clip in clips]).body
    said = write_recording(clips, 3.0, tmp_path / "long.flac")
    with (tmp_path / "long.flac").open("rb") as file:
        heard: list[Any] = [prediction.body for prediction in ears.listen(file)]
    text = joined(heard).text
    single = word_error_rate([clip.text for clip in clips], [one["text"] for one in alone])
    assert abs(word_error_rate([said], [text]) - single) <= 0.01
    assert longest_loop(text) == 0
