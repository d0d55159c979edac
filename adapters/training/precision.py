"""Which numbers a pass computes with, and how it computes attention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from adapters.training.recipe import Defaults

MOST_PAIRS = 1_000_000  # of tokens, in 16 rows of 256, for which plain attention keeps some 100 MB a layer


def fast_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware: 1.5 times the speed of float32 here, and slower without it."""
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return available and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def training() -> AbstractContextManager[Any]:
    """A pass whose gradients will be used."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast_bfloat16())


def rough(defaults: Defaults) -> AbstractContextManager[Any]:
    """A pass that trains or chooses, but measures nothing that is published."""
    return training() if defaults.rough else nullcontext()


def attention(rows: int, longest: int) -> AbstractContextManager[None]:
    """A pass with gradients over so many rows of at most so many tokens."""
    return _plain_attention() if rows * longest**2 <= MOST_PAIRS else nullcontext()


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention made of single steps: on the way back the fused kernel is slow where rows are short.

    A step of MiniLM with LoRA on all layers took 528 ms of one core for 16 texts of 64 tokens, 345 ms this way; for 16
    of 192 tokens 1,348 and 1,198 ms; for 32 of 32 tokens the same 478 ms.
    """
    settings: Any = torch.backends.cuda  # these hold for the CPU too
    before = settings.fp16_bf16_reduction_math_sdp_allowed()
    settings.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        settings.allow_fp16_bf16_reduction_math_sdp(before)
