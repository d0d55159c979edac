"""Beam search writes what transformers' generate writes, token by token, whatever its neighbours in the batch do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import WhisperForConditionalGeneration

from tests.torch_whisper import (
    END,
    FIRST,
    NO_TIMES,
    PLACES,
    START,
    TorchGraphs,
    never,
    rules_for_transformers,
    torch_whisper,
)
from tests.zoo.tasks.decoding.test_greedy import END as LAST
from tests.zoo.tasks.decoding.test_greedy import Script, free
from zoo.tasks.decoding.beam import Beams, beam
from zoo.tasks.decoding.cached_decoder import CachedDecoder, Floats, Ids, cache_names
from zoo.tasks.decoding.greedy import Hypothesis, Limits, greedy
from zoo.tasks.decoding.whisper_rules import WhisperRules

MOST = 17


def features(rows: int, seed: int) -> torch.Tensor:
    return 3 * torch.randn(rows, 8, 2 * PLACES, generator=torch.Generator().manual_seed(seed))


def written(
    model: WhisperForConditionalGeneration, clips: torch.Tensor, beams: Beams, *, times: bool
) -> list[Hypothesis]:
    prompt = [START] if times else [START, NO_TIMES]
    suppressed, first = np.array(never(times)), np.array(FIRST)
    rules = WhisperRules(suppressed, first, END, NO_TIMES, NO_TIMES + 1, times=times)
    graphs = TorchGraphs(model)
    decoder = CachedDecoder(graphs["decoder"], graphs.heard(clips), cache_names(2), (2, 8))
    logits = decoder.step(np.tile(np.array(prompt), (len(clips), 1, 1)))[:, 0, 0]
    return beam(decoder, logits, Limits(END, [MOST] * len(clips)), rules, beams)


def expected(
    model: WhisperForConditionalGeneration, clip: torch.Tensor, beams: Beams, *, times: bool
) -> tuple[int, ...]:
    model.generation_config = rules_for_transformers(times=times)
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
    model, clips = torch_whisper(seed, sure=6.0), features(3, seed)
    found = [text.tokens for text in written(model, clips, beams, times=times)]
    assert found == [expected(model, clip, beams, times=times) for clip in clips]


def test_more_texts_find_a_likelier_one_than_the_first_choices_do() -> None:
    model, clips = torch_whisper(1, sure=1.0), features(8, 2)
    graphs = TorchGraphs(model)
    decoder = CachedDecoder(graphs["decoder"], graphs.heard(clips), cache_names(2), (2, 8))
    logits = decoder.step(np.tile(np.array([START, NO_TIMES]), (8, 1, 1)))[:, 0, 0]
    rules = WhisperRules(np.array(never(False)), np.array(FIRST), END, NO_TIMES, NO_TIMES + 1)
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
