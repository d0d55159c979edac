"""A window is tried again where its text looks wrong, no try goes on for ever, and silence is no text."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from zoo.tasks.decoding.transcriber import Asked, Transcriber
from zoo.tasks.decoding.transcript import Spoken
from zoo.tasks.decoding.whisper_tokens import WhisperTokens
from zoo.tasks.processors.log_mel import LogMel
from zoo.tasks.processors.whisper_window import Window, window
from zoo.tasks.task import Array, Run

END, START, NO_SPEECH, NO_TIMES, VOCABULARY = 100, 101, 102, 103, 104 + 1501
IDS = WhisperTokens(
    bins=8,
    places=1500,
    layers=1,
    heads=1,
    width=1,
    most_tokens=448,
    start=START,
    end=END,
    no_times=NO_TIMES,
    no_speech=NO_SPEECH,
)


class Voice:
    """Both graphs: says ``line`` and the end, each token with the odds of ``sure``; ``silence``: that of no speech."""

    def __init__(self, line: Sequence[int], *, sure: float = 20.0, silence: float = -20.0) -> None:
        self.line = [*line, END]
        self.sure = sure
        self.silence = silence
        self.steps = 0

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        rows = len(feeds["weights"])
        return [np.zeros((rows, 1, 1, 1), np.float32), np.zeros((rows, 1, 1, 1), np.float32)]

    def __getitem__(self, graph: str) -> Run:
        assert graph == "decoder"
        return self.decode

    def decode(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        self.steps += 1
        rows, group, new = feeds["tokens"].shape
        past = feeds["past_key_0"]
        said = past.shape[3] + new - 2  # behind the prompt of two tokens
        logits = np.zeros((rows, group, len(feeds["at"]), VOCABULARY), np.float32)
        logits[..., self.line[min(said, len(self.line) - 1)]] = self.sure
        logits[:, :, 0, NO_SPEECH] = self.silence
        grown = np.concatenate([past, np.zeros((rows, group, 1, new, 1), np.float32)], axis=3)
        return [logits, grown, grown]


class Crowd(Voice):
    """Says when it is asked for a whole window, and answers those only when it is let go."""

    def __init__(self, line: Sequence[int]) -> None:
        super().__init__(line)
        self.begun, self.go = threading.Event(), threading.Event()
        self.rows: list[int] = []

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        self.rows.append(len(feeds["weights"]))
        if feeds["weights"].shape[1] == 1500:
            self.begun.set()
            assert self.go.wait(30)
        return super().__call__(feeds, outputs)


def clip(seconds: float) -> Window:
    return window(np.zeros(round(16_000 * seconds), np.float32), LogMel(bins=8))


def hear(voice: Voice, seconds: float = 3.0) -> Spoken:
    (spoken,) = Transcriber(IDS).transcribe([clip(seconds)], [Asked()], voice)
    return spoken


def test_a_text_that_is_likely_is_taken_at_once() -> None:
    voice = Voice([7, 8, 9])
    spoken = hear(voice)
    assert (spoken.tokens, spoken.temperature, spoken.silent) == ((7, 8, 9), 0.0, False)
    assert voice.steps == 4


def test_a_text_that_repeats_itself_is_given_up_early_and_tried_hotter() -> None:
    voice = Voice([7, 8] * 200)
    assert hear(voice, 30.0).compression > 2.4
    assert voice.steps <= 6 * 49


@pytest.mark.parametrize(("seconds", "most"), [(0.1, 26), (1.0, 49), (10.0, 274), (30.0, 446)])
def test_a_clip_has_as_many_tokens_as_can_be_said_in_it(seconds: float, most: int) -> None:
    draw = np.random.default_rng(5)
    voice = Voice(draw.integers(0, END, 500).tolist())
    assert len(hear(voice, seconds).tokens) == most


def test_one_word_where_no_speech_is_likely_is_silence() -> None:
    assert hear(Voice([7], silence=40.0)).silent
    assert not hear(Voice([7, 8, 9, 10], silence=40.0)).silent


def test_what_no_try_makes_likely_is_silence() -> None:
    assert hear(Voice([7, 8, 9], sure=1.0)).silent


def test_of_unlikely_tries_the_likeliest_is_taken() -> None:
    spoken = hear(Voice([7, 8, 9, 10, 11, 12], sure=3.5))
    assert not spoken.silent
    assert spoken.tokens == (7, 8, 9, 10, 11, 12)


def test_a_clip_does_not_wait_for_a_recording() -> None:
    crowd, transcriber = Crowd([7, 8, 9]), Transcriber(IDS)
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(transcriber.transcribe, [clip(30.0)] * 2, [Asked()] * 2, crowd, recording=True)
        assert crowd.begun.wait(30)
        (short,) = transcriber.transcribe([clip(3.0)], [Asked()], crowd)
        assert not long.done()
        crowd.go.set()
        assert [short.tokens, *(one.tokens for one in long.result(30))] == [(7, 8, 9)] * 3


def test_windows_of_one_batch_are_alike_in_wishes_and_in_length() -> None:
    crowd = Crowd([7, 8, 9])
    crowd.go.set()
    windows = [clip(seconds) for seconds in (3.0, 3.5, 30.0, 3.0, 2.5)]
    Transcriber(IDS).transcribe(windows, [Asked()] * 4 + [Asked(times=True)], crowd)
    assert crowd.rows == [3, 1, 1]
