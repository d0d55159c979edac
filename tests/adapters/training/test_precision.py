"""How a training pass computes attention."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from adapters.training.precision import attention


def way_back(rows: int, tokens: int) -> str:
    """What would go back through attention, by the name that torch gives it."""
    query = torch.zeros(rows, 2, tokens, 8, requires_grad=True)
    with attention(rows, tokens):
        return type(scaled_dot_product_attention(query, query, query).grad_fn).__name__


def test_attention_of_short_rows_is_made_of_single_steps() -> None:
    assert "Flash" not in way_back(32, 64)


def test_attention_of_long_rows_is_fused() -> None:
    assert "Flash" in way_back(2, 1024)


def test_what_attention_may_use_is_as_before_behind_a_pass() -> None:
    settings: Any = torch.backends.cuda  # these hold for the CPU too
    before = settings.fp16_bf16_reduction_math_sdp_allowed()
    way_back(32, 64)
    assert settings.flash_sdp_enabled()
    assert settings.fp16_bf16_reduction_math_sdp_allowed() == before
