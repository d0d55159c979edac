"""Language, task, prompt, times and the figures by which a text is tried again are those of transformers' generate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import WhisperForConditionalGeneration

from tests.torch_whisper import (
    END,
    NO_SPEECH,
    PLACES,
    PREVIOUS,
    START,
    TorchGraphs,
    rules_for_transformers,
    tokens_for_us,
    torch_whisper,
)
from zoo.tasks.decoding import transcriber
from zoo.tasks.decoding.beam import Beams
from zoo.tasks.decoding.transcriber import Asked, Transcriber
from zoo.tasks.decoding.transcript import Spoken
from zoo.tasks.processors.log_mel import LogMel
from zoo.tasks.processors.whisper_window import window

SAMPLES = np.random.default_rng(4).normal(0, 0.2, 9600).astype(np.float32)
PROMPT = (72, 101, 108, 108, 111)


@pytest.fixture(autouse=True)
def content(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is tried again: random weights are sure of nothing."""
    monkeypatch.setattr(transcriber, "UNLIKELY", -np.inf)
    monkeypatch.setattr(transcriber, "REPEATS", np.inf)


def heard(model: WhisperForConditionalGeneration, asked: Asked, *, multilingual: bool = True) -> Spoken:
    clip = window(SAMPLES, LogMel(bins=8), places=PLACES)
    ids = tokens_for_us(multilingual=multilingual)
    (spoken,) = Transcriber(ids).transcribe([clip], [asked], TorchGraphs(model))
    return spoken


def generated(model: WhisperForConditionalGeneration, *, multilingual: bool = True, **asked: Any) -> Any:
    model.generation_config = rules_for_transformers(times=False, multilingual=multilingual)
    features = torch.from_numpy(LogMel(bins=8)(SAMPLES, 2 * PLACES))[None]
    return model.generate(features, **asked)


def tokens_of(found: Any) -> tuple[int, ...]:
    tokens: list[int] = found[0].tolist()
    return tuple(tokens[: tokens.index(END)] if END in tokens else tokens)


@pytest.mark.parametrize("seed", [1, 4])
@pytest.mark.parametrize("task", ["transcribe", "translate"])
@pytest.mark.parametrize("language", ["en", "de", None])
def test_language_and_task_are_written_before_the_text(seed: int, task: str, language: str | None) -> None:
    model = torch_whisper(seed, sure=40.0)
    spoken = heard(model, Asked(language=language, task=task))
    assert spoken.temperature == 0
    assert spoken.tokens == tokens_of(generated(model, language=language, task=task, max_new_tokens=16))


@pytest.mark.parametrize("seed", [1, 4])
@pytest.mark.parametrize("beams", [1, 3])
def test_a_prompt_stands_before_everything(seed: int, beams: int) -> None:
    model = torch_whisper(seed, sure=40.0)
    spoken = heard(model, Asked(language="de", prompt=PROMPT, beams=Beams(beams)))
    prompt = torch.tensor([PREVIOUS, *PROMPT])
    found = generated(
        model, language="de", task="transcribe", prompt_ids=prompt, num_beams=beams, max_new_tokens=10
    )  # of 20 places
    assert spoken.temperature == 0
    assert spoken.tokens == tokens_of(found)


@pytest.mark.parametrize("seed", [1, 4, 7])
def test_the_figures_of_a_text_are_those_of_transformers(seed: int) -> None:
    model = torch_whisper(seed, sure=40.0)
    spoken = heard(model, Asked(), multilingual=False)
    found = generated(
        model, multilingual=False, max_new_tokens=18, output_scores=True, return_dict_in_generate=True,
        force_unique_generate_call=True,
    )  # fmt: skip
    written = found.sequences[0, 2:]
    tokens = written[: len(spoken.tokens) + 1]
    assert tuple(tokens[: len(spoken.tokens)].tolist()) == spoken.tokens
    assert spoken.compression == pytest.approx(
        model._retrieve_compression_ratio(tokens[: len(spoken.tokens)], model.config.vocab_size)
    )
    if tokens[-1] == END:
        scores = [score[0] for score in found.scores]
        assert spoken.mean == pytest.approx(float(model._retrieve_avg_logprobs(scores, tokens, 0.0)), abs=1e-4)


@pytest.mark.parametrize("seed", [1, 4])
def test_no_speech_is_as_likely_as_the_network_says_where_the_transcript_starts(seed: int) -> None:
    model = torch_whisper(seed, sure=40.0)
    model.model.decoder.embed_tokens.weight[NO_SPEECH] *= 2
    features = torch.from_numpy(LogMel(bins=8)(SAMPLES, 2 * PLACES))[None]
    logits = model(features, decoder_input_ids=torch.tensor([[START]])).logits[0, -1]
    spoken = heard(model, Asked(), multilingual=False)
    assert spoken.no_speech == pytest.approx(float(torch.softmax(logits, -1)[NO_SPEECH]), abs=1e-5)
