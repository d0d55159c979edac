"""Whisper's rules forbid what transformers' processors of logits forbid."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import (
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    WhisperTimeStampLogitsProcessor,
)

from zoo.tasks.decoding.cached_decoder import Ids
from zoo.tasks.decoding.whisper_rules import WhisperRules

END, NO_TIMES, FIRST_TIME, VOCABULARY = 20, 24, 25, 100
NEVER, NOT_FIRST = [3, 7, 22], [1, 20]
PROMPT = [21, 23]


def rules(times: bool) -> WhisperRules:
    return WhisperRules(np.array(NEVER), np.array(NOT_FIRST), END, NO_TIMES, FIRST_TIME, times=times)


def expected(written: Ids, logits: torch.Tensor, times: bool) -> torch.Tensor:
    prompt = torch.tensor([PROMPT] * len(written))
    given = torch.cat([prompt, torch.from_numpy(written)], dim=1)
    processors = [SuppressTokensLogitsProcessor(NEVER), SuppressTokensAtBeginLogitsProcessor(NOT_FIRST, len(PROMPT))]
    if times:
        config = SimpleNamespace(
            no_timestamps_token_id=NO_TIMES, eos_token_id=END, bos_token_id=END, max_initial_timestamp_index=50
        )
        processors.append(WhisperTimeStampLogitsProcessor(config, begin_index=len(PROMPT)))
    for processor in processors:
        logits = processor(given, logits)
    return logits


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize(
    "written",
    [
        [[], []],
        [[25], [40]],
        [[25, 5], [40, 6]],
        [[25, 5, 33], [40, 6, 8]],
        [[25, 5, 33, 33], [40, 6, 8, 99]],
        [[25, 5, 33, 33, 9], [25, 5, 6, 60, 60]],
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_the_same_tokens_are_forbidden(written: list[list[int]], times: bool, seed: int) -> None:
    so_far = np.array(written, dtype=np.int64).reshape(2, -1)
    logits = 3 * torch.randn(2, VOCABULARY, generator=torch.Generator().manual_seed(seed))
    found = logits.numpy().copy()
    rules(times)(so_far, found)
    np.testing.assert_array_equal(found, expected(so_far, logits.clone(), times).numpy())
