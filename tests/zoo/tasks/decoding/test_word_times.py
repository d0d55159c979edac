"""Times of words are those of transformers: its path through the attention, its words, its pipeline's chunks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import WhisperTokenizer
from transformers.models.whisper.generation_whisper import _dynamic_time_warping
from transformers.models.whisper.tokenization_whisper import _combine_tokens_into_words

from tests.tiny_whisper import write_tokenizer
from tests.torch_whisper import END, PLACES, TorchGraphs, rules_for_transformers, tokens_for_us, torch_whisper
from zoo.tasks.decoding.alignment import first_positions, moments
from zoo.tasks.decoding.transcriber import Asked, Transcriber
from zoo.tasks.decoding.transcript import Segment, Spoken, segments
from zoo.tasks.decoding.words import words_of
from zoo.tasks.processors.log_mel import LogMel
from zoo.tasks.processors.whisper_window import window

SILENT = Spoken((), 0.0, 1.0, 0.0, 0.0, silent=False)
SENTENCE = ' He said: "Hello (my dear) world!" It\'s 5.5 % of - naïve 東京 と、京都。 ok?'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(path)
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "WhisperTokenizer"}))
    return path


def decoder_of(folder: Path) -> Any:
    text = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda tokens: text.decode(list(tokens), skip_special_tokens=True)


def noise(seed: int, seconds: float) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    swell = np.sin(np.linspace(0, 3 * seed + 1, round(16_000 * seconds)))
    return np.asarray(0.2 * swell * draw.standard_normal(round(16_000 * seconds)), dtype=np.float32)


# Texts that come to an end: of one that is cut transformers does not read the last token.
@pytest.mark.parametrize(
    ("sure", "seed", "seconds"), [(6, 3, 0.6), (6, 5, 0.6), (9, 2, 0.6), (14, 2, 0.6), (9, 1, 0.4)]
)
def test_words_of_a_clip_begin_and_end_where_the_pipeline_has_them(
    folder: Path, sure: float, seed: int, seconds: float
) -> None:
    model, samples = torch_whisper(seed, sure=sure), noise(seed, seconds)
    clip = window(samples, LogMel(bins=8), places=PLACES)
    (spoken,) = Transcriber(tokens_for_us()).transcribe([clip], [Asked(times=True, words=True)], TorchGraphs(model))

    model.generation_config = rules_for_transformers(times=True)
    heard = (torch.arange(2 * PLACES) < round(100 * seconds)).long()[None]
    found = model.generate(
        torch.from_numpy(LogMel(bins=8)(samples, 2 * PLACES))[None],
        attention_mask=heard,
        return_timestamps=True,
        return_token_timestamps=True,
        force_unique_generate_call=True,
        max_new_tokens=18,
    )
    sequence, times = found["sequences"][0, 1:], found["token_timestamps"][0, 1:]
    length = len(spoken.tokens)
    assert sequence[:length].tolist() == list(spoken.tokens)
    assert sequence[length] == END
    assert spoken.moments == pytest.approx(times[:length].tolist(), abs=0.02 + 1e-6)

    tokenizer = WhisperTokenizer.from_pretrained(folder)
    asked: Any = {"return_timestamps": "word", "return_language": None, "time_precision": 0.02}
    _, answer = tokenizer._decode_asr([{"tokens": sequence[None, :length], "token_timestamps": times[None]}], **asked)
    decode = decoder_of(folder)
    parts = segments(spoken, tokens_for_us(), decode, start=0.0, end=seconds)
    words = [word for part in parts for word in words_of(part, decode, "en")]
    assert [word.text for word in words] == [chunk["text"] for chunk in answer["chunks"]]
    ours = [moment for word in words for moment in (word.start, word.end)]
    theirs = [moment for chunk in answer["chunks"] for moment in chunk["timestamp"]]
    assert ours == pytest.approx(theirs, abs=0.02 + 1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(1, 9), (7, 30), (12, 12), (9, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_the_way_is_that_of_transformers(rows: int, columns: int, seed: int) -> None:
    costs = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    texts, places = _dynamic_time_warping(costs.astype(np.float64))
    assert first_positions(costs) == [int(places[texts == row].min()) for row in range(rows)]


def test_a_head_that_follows_the_sound_gives_the_times() -> None:
    attention = np.full((1, 4, 40), 0.001, np.float32)
    for row in range(4):
        attention[0, row, 10 * row : 10 * row + 10] = 1.0
    assert moments(attention) == pytest.approx((0.0, 0.2, 0.4, 0.6))


@pytest.mark.parametrize(("language", "code"), [("english", "en"), ("chinese", "zh"), ("german", "de")])
def test_tokens_make_the_words_that_transformers_makes_of_them(folder: Path, language: str, code: str) -> None:
    tokenizer = WhisperTokenizer.from_pretrained(folder)
    tokens = tokenizer.backend_tokenizer.encode(SENTENCE, add_special_tokens=False).ids
    texts, _, places = _combine_tokens_into_words(tokenizer, tokens, language)
    times = tuple((place / 10, place / 10 + 0.1) for place in range(len(tokens)))
    segment = Segment(SENTENCE, 0.0, 9.0, tuple(tokens), SILENT, times=times)
    words = words_of(segment, decoder_of(folder), code)
    assert [word.text for word in words] == texts
    assert [word.start for word in words] == [place[0] / 10 for place in places]
    assert [word.end for word in words] == pytest.approx([place[-1] / 10 + 0.1 for place in places])
    assert "".join(word.text for word in words) == SENTENCE


def test_without_times_there_are_no_words(folder: Path) -> None:
    assert words_of(Segment(" hello", 0.0, 1.0, (40, 41), SILENT), decoder_of(folder), "en") == []
