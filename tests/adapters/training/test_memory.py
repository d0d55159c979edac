"""What is discarded holds no memory, whoever else still refers to it."""

from __future__ import annotations

import torch
from torch import nn

from adapters.training.memory import discard


def test_weights_that_others_hold_are_freed() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    held = [*network.parameters(), *network.buffers()]
    assert sum(tensor.untyped_storage().nbytes() for tensor in held) == 1032
    discard(network)
    assert sum(tensor.untyped_storage().nbytes() for tensor in held) == 0


def test_what_a_buffer_is_a_view_of_is_freed_too() -> None:
    network, whole = nn.Module(), torch.zeros(1000)
    network.register_buffer("part", whole[:3])
    discard(network)
    assert whole.untyped_storage().nbytes() == 0
