"""Whisper's two graphs: transformers' answers step by step, several hypotheses, and positions that stand for many."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import WhisperForConditionalGeneration

from adapters.training.architectures.whisper_graphs import WhisperDecoder, WhisperEncoder
from tests.tiny_whisper import tiny_whisper
from zoo.tasks.decoding.cached_decoder import cache_names

PLACES = 30  # of the tiny network's window
NAMES = cache_names(2)


@pytest.fixture(scope="module")
def model() -> WhisperForConditionalGeneration:
    return tiny_whisper()


def features(rows: int, frames: int = 2 * PLACES) -> Tensor:
    return torch.randn(rows, 8, frames, generator=torch.Generator().manual_seed(rows))


def whole(rows: int, places: int = PLACES) -> tuple[Tensor, Tensor, Tensor]:
    """Every place for itself."""
    order = torch.arange(places).expand(rows, -1)
    return order, order, torch.zeros(rows, places)


def decode(model: WhisperForConditionalGeneration, clips: Tensor, parts: list[Tensor]) -> Tensor:
    """Logits at all places, (batch, hypotheses, places, vocabulary), of tokens that come in ``parts``."""
    encoder = WhisperEncoder(model.model)
    decoder = WhisperDecoder(model.model, model.proj_out, ((0, 1), (1, 0)))
    positions = whole(len(clips))
    cross = encoder(clips, *positions)
    batch, group = parts[0].shape[:2]
    held = {f"past_{name}": torch.zeros(batch, group, 2, 0, 8) for name in NAMES}
    held |= {f"cross_{name}": values for name, values in zip(NAMES, cross, strict=True)}
    found = []
    for tokens in parts:
        logits, aligned, *cache = decoder(tokens, torch.arange(tokens.shape[2]), positions[2], **held)
        assert aligned.shape == (batch, group, 2, tokens.shape[2], PLACES)
        found.append(logits)
        held |= {f"past_{name}": values for name, values in zip(NAMES, cache, strict=True)}
    return torch.cat(found, dim=2)


def test_the_encoder_is_that_of_transformers(model: WhisperForConditionalGeneration) -> None:
    clips = features(2)
    expected = model.model.encoder(clips).last_hidden_state
    torch.testing.assert_close(WhisperEncoder(model.model).hidden(clips, *whole(2)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cuts", [[7], [3, 1, 1, 1, 1], [1, 6]])
def test_logits_are_those_of_transformers_however_the_tokens_come(
    model: WhisperForConditionalGeneration, cuts: list[int]
) -> None:
    clips, tokens = features(2), torch.tensor([[1, 4, 9, 2, 30, 8, 7], [1, 6, 3, 3, 11, 40, 5]])
    expected = model(clips, decoder_input_ids=tokens).logits
    found = decode(model, clips, list(torch.split(tokens[:, None], cuts, dim=2)))
    torch.testing.assert_close(found[:, 0], expected, atol=1e-4, rtol=1e-4)


def test_every_hypothesis_of_a_clip_is_answered_as_if_it_were_alone(model: WhisperForConditionalGeneration) -> None:
    clips = features(2)
    tokens = torch.tensor([[[1, 4, 9], [1, 5, 2], [1, 8, 8]], [[1, 2, 2], [1, 40, 6], [1, 7, 30]]])
    together = decode(model, clips, [tokens[:, :, :2], tokens[:, :, 2:]])
    for place in range(3):
        torch.testing.assert_close(together[:, place], decode(model, clips, [tokens[:, place, None]])[:, 0])


def test_a_position_that_stands_for_several_equal_ones_changes_nothing(model: WhisperForConditionalGeneration) -> None:
    encoder, clips = WhisperEncoder(model.model), features(1)
    # The last ten positions are the same result at the same place, or one that stands for ten.
    apart = torch.tensor([[*range(20), *[20] * 10]])
    one = torch.tensor([list(range(21))])
    weights = torch.zeros(1, 21)
    weights[0, 20] = torch.log(torch.tensor(10.0))
    expected = encoder.hidden(clips, apart, apart, torch.zeros(1, 30))[:, :21]
    torch.testing.assert_close(encoder.hidden(clips, one, one, weights), expected, atol=1e-5, rtol=1e-5)


def test_positions_without_weight_are_not_heard(model: WhisperForConditionalGeneration) -> None:
    encoder, clips = WhisperEncoder(model.model), features(2)
    order, _, weights = (values.clone() for values in whole(2))
    weights[1, 12:] = -1e9
    both = encoder.hidden(clips, order, order, weights)
    alone = encoder.hidden(clips[1:], *whole(1, 12))
    torch.testing.assert_close(both[1:, :12], alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[:1], encoder.hidden(clips[:1], *whole(1)), atol=1e-5, rtol=1e-5)
