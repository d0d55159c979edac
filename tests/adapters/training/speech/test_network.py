"""Teacher forcing computes what the served graphs compute token by token, from any layer on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from adapters.training.graphs_in_torch import GraphsInTorch
from adapters.training.layer_cut import LayerCut
from adapters.training.layouts.whisper import WhisperCheckpoint
from adapters.training.recipe import Batch
from adapters.training.speech.network import TaughtWhisper
from adapters.training.speech.whisper_servable import whisper_servable
from tests.tiny_whisper import tiny_whisper
from zoo.tasks.decoding.cached_decoder import CachedDecoder

PLACES, NAMES = 30, ("key_0", "value_0", "key_1", "value_1")


def heard(rows: int, kept: int = 12) -> Batch:
    """The first places in order, one of four of the rest with the weight of four."""
    rest = torch.arange(kept, PLACES, 4)
    weights = torch.cat([torch.zeros(kept), torch.full((len(rest),), 4.0).log()])
    return {
        "features": torch.randn(rows, 8, 2 * kept + 4, generator=torch.Generator().manual_seed(rows)),
        "sources": torch.cat([torch.arange(kept), torch.full((len(rest),), kept)]).expand(rows, -1),
        "places": torch.cat([torch.arange(kept), rest]).expand(rows, -1),
        "weights": weights.expand(rows, -1).contiguous(),
    }


TOKENS = torch.tensor([[1, 4, 9, 2, 30, 8], [1, 6, 3, 11, 0, 0]])
TAUGHT = torch.tensor([[False, True, True, True, True, True], [True, True, True, True, False, False]])


def taught(network: TaughtWhisper) -> Tensor:
    with torch.no_grad():
        answer: Tensor = network(**heard(2), tokens=TOKENS, taught=TAUGHT)
    return answer


def test_logits_are_those_of_the_served_graphs() -> None:
    model = tiny_whisper()
    graphs = GraphsInTorch(whisper_servable(WhisperCheckpoint(model, (), (), ()), options={}, files={}))
    feeds = {name: values.numpy() for name, values in heard(2).items()}
    fixed = {f"cross_{name}": values for name, values in zip(NAMES, graphs(feeds), strict=True)}
    decoder = CachedDecoder(graphs["decoder"], fixed | {"weights": feeds["weights"]}, NAMES, (2, 8))
    steps = [decoder.step(TOKENS[:, None, place : place + 1].numpy())[:, 0, 0] for place in range(6)]
    expected = np.stack(steps, axis=1)[TAUGHT.numpy()]
    np.testing.assert_allclose(taught(TaughtWhisper(model)).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("cut", [1, 2])
def test_the_rest_can_be_run_on_what_enters_a_layer_of_the_encoder(cut: int) -> None:
    network = TaughtWhisper(tiny_whisper()).eval()
    whole = taught(network)
    parts = LayerCut(network.steps, cut)
    with torch.no_grad():
        entering = parts.lower(lambda: network(**heard(2), tokens=TOKENS, taught=TAUGHT))
        dummy = heard(2) | {"features": torch.zeros(2, 8, 2)}
        upper = parts.upper(entering, lambda: network(**dummy, tokens=TOKENS, taught=TAUGHT))
    torch.testing.assert_close(upper, whole)
