"""Which numbers a pass computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from adapters.training.recipe import Defaults

# Up to here attention is made of plain products: the gradients of torch's fused one took 0.27 of 0.65 s of a step in
# bfloat16 (MiniLM, 32 texts of 32 tokens), and the whole step takes 0.41 s without. At 192 tokens they are equal.
SHORT = 128


def fast_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware: 1.5 times the speed of float32 here, and slower without it."""
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return available and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def training(tokens: int | None = None) -> Iterator[None]:
    """A pass whose gradients will be used. ``tokens``: of the longest text in it, where it reads texts."""
    fast = fast_bfloat16()
    short = sdpa_kernel(SDPBackend.MATH) if fast and tokens is not None and tokens <= SHORT else nullcontext()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast), short:
        yield


def rough(defaults: Defaults) -> AbstractContextManager[Any]:
    """A pass that trains or chooses, but measures nothing that is published."""
    return training() if defaults.rough else nullcontext()
