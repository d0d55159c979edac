"""Beam search writes what transformers' generate writes, token by token, whatever its neighbours in the batch do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, WhisperForConditionalGeneration

from adapters.training.architectures.whisper_graphs import WhisperDecoder, WhisperEncoder, cache_names
from tests.tiny_whisper import SPEAKING, SUPPRESSED, SUPPRESSED_FIRST, tiny_whisper
from tests.zoo.tasks.decoding.test_greedy import END as LAST
from tests.zoo.tasks.decoding.test_greedy import Script, free
from zoo.tasks.decoding.beam import Beams, beam
from zoo.tasks.decoding.cached_decoder import CachedDecoder, Floats, Ids
from zoo.tasks.decoding.greedy import Hypothesis, Limits, greedy
from zoo.tasks.decoding.whisper_rules import WhisperRules
from zoo.tasks.task import Array

END, START, NO_TIMES = 256, 257, 264
MOST = 17
FIRST = [*SUPPRESSED_FIRST, END]  # never the first token
PLACES = 30


class Network:
    """Both graphs of a tiny Whisper in torch, called as a session is."""

    def __init__(self, model: WhisperForConditionalGeneration) -> None:
        self.encoder = WhisperEncoder(model.model)
        self.decoder = WhisperDecoder(model.model, model.proj_out, ((0, 1),))

    def heard(self, features: torch.Tensor) -> dict[str, Array]:
        rows = len(features)
        order, weights = torch.arange(PLACES).expand(rows, -1), torch.zeros(rows, PLACES)
        cross = self.encoder(features, order, order, weights)
        named = {f"cross_{name}": values.numpy() for name, values in zip(cache_names(2), cross, strict=True)}
        return {"weights": weights.numpy(), **named}

    def __call__(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        logits, _, *cache = self.decoder(**{name: torch.from_numpy(values) for name, values in feeds.items()})
        return [logits.numpy(), *(values.numpy() for values in cache)]


def model_of(seed: int, sure: float) -> WhisperForConditionalGeneration:
    """The larger ``sure``, the sooner one text is far likelier than the others; most come to an end."""
    model = tiny_whisper(seed=seed, vocabulary=SPEAKING)
    norm = model.model.decoder.layer_norm
    norm.weight.mul_(sure)
    model.model.decoder.embed_tokens.weight[END] += 0.9 * sure * norm.bias / norm.bias.square().sum()
    return model


def features(rows: int, seed: int) -> torch.Tensor:
    return 3 * torch.randn(rows, 8, 2 * PLACES, generator=torch.Generator().manual_seed(seed))


def suppressed(times: bool) -> list[int]:
    return [*SUPPRESSED, *range(START, NO_TIMES + 1 if times else SPEAKING)]


def written(
    model: WhisperForConditionalGeneration, clips: torch.Tensor, beams: Beams, *, times: bool
) -> list[Hypothesis]:
    prompt = [START] if times else [START, NO_TIMES]
    never, first = np.array(suppressed(times)), np.array(FIRST)
    rules = WhisperRules(never, first, END, NO_TIMES, NO_TIMES + 1, times=times)
    network = Network(model)
    decoder = CachedDecoder(network, network.heard(clips), cache_names(2), (2, 8))
    logits = decoder.step(np.tile(np.array(prompt), (len(clips), 1, 1)))[:, 0, 0]
    return beam(decoder, logits, Limits(END, [MOST] * len(clips)), rules, beams)


def expected(
    model: WhisperForConditionalGeneration, clip: torch.Tensor, beams: Beams, *, times: bool
) -> tuple[int, ...]:
    model.generation_config = GenerationConfig(
        eos_token_id=END,
        pad_token_id=END,
        bos_token_id=END,
        decoder_start_token_id=START,
        no_timestamps_token_id=NO_TIMES,
        suppress_tokens=suppressed(times),
        begin_suppress_tokens=FIRST,
        is_multilingual=False,
        max_initial_timestamp_index=50,
    )
    found = model.generate(
        clip[None],
        num_beams=beams.count,
        length_penalty=beams.length_penalty,
        max_new_tokens=MOST,
        return_timestamps=times,
        force_unique_generate_call=True,
    )
    tokens: list[int] = found[0].tolist()[1 if times else 2 :]
    return tuple(tokens[: tokens.index(END)] if END in tokens else tokens)


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("beams", [Beams(2), Beams(5), Beams(3, 0.0), Beams(4, 2.0), Beams(3, -1.0)])
@pytest.mark.parametrize("seed", [0, 1, 3, 6])
def test_every_row_is_written_as_transformers_writes_it_alone(seed: int, beams: Beams, times: bool) -> None:
    model, clips = model_of(seed, 6.0), features(3, seed)
    found = [text.tokens for text in written(model, clips, beams, times=times)]
    assert found == [expected(model, clip, beams, times=times) for clip in clips]


def test_more_texts_find_a_likelier_one_than_the_first_choices_do() -> None:
    model, clips = model_of(1, 1.0), features(8, 2)
    network = Network(model)
    decoder = CachedDecoder(network, network.heard(clips), cache_names(2), (2, 8))
    logits = decoder.step(np.tile(np.array([START, NO_TIMES]), (8, 1, 1)))[:, 0, 0]
    rules = WhisperRules(np.array(suppressed(False)), np.array(FIRST), END, NO_TIMES, NO_TIMES + 1)
    first = greedy(decoder, logits, Limits(END, [MOST] * 8), rules)
    wide = written(model, clips, Beams(5, 0.0), times=False)
    assert [text.tokens for text in first] != [text.tokens for text in wide]
    assert sum(text.score for text in wide) > sum(text.score for text in first)


def test_a_rule_is_asked_about_every_text_and_rows_of_most_zero_stay_empty() -> None:
    seen: set[int] = set()

    def count(tokens: Ids, logits: Floats) -> None:
        seen.add(len(tokens))

    script = Script([3, 4], [5])
    decoder = CachedDecoder(script, {"line": np.arange(2)}, ["key_0"], (1, 1))
    logits = decoder.step(np.zeros((2, 1, 1), np.int64))[:, 0, 0]
    first, none = beam(decoder, logits, Limits(LAST, [4, 0]), count, Beams(3))
    assert (first.tokens, first.ended, none.tokens) == ((3, 4), True, ())
    assert seen == {1, 3}


@pytest.mark.parametrize("lines", [([3, 1, 4], [2], [7, 7, 2, 6], [])])
def test_rows_of_different_lengths_share_a_batch(lines: tuple[list[int], ...]) -> None:
    decoder = CachedDecoder(Script(*lines), {"line": np.arange(len(lines))}, ["key_0"], (1, 1))
    logits = decoder.step(np.zeros((len(lines), 1, 1), np.int64))[:, 0, 0]
    found = beam(decoder, logits, Limits(LAST, [9] * len(lines)), free, Beams(2, 0.0))
    assert [text.tokens for text in found] == [tuple(line) for line in lines]
