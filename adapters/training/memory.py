"""Memory that is needed no more, given back to the machine while the job goes on."""

from __future__ import annotations

import gc
from itertools import chain

import torch
from torch import nn

from zoo.engine.memory import trim


def discard(network: nn.Module) -> None:
    """Take the weights from a network that has been exported; it cannot be run afterwards.

    Dropping the network does not do that: the exporter's rewrite rules keep the graphs that they saw, weights and all.
    """
    for tensor in chain(network.parameters(), network.buffers()):
        for held in (tensor, tensor._base):  # transformers makes buffers as views, which keep what they show
            if held is not None:
                held.data = torch.empty(0, dtype=held.dtype)
    give_back()


def give_back() -> None:
    """Return what is free to the system."""
    gc.collect()
    trim()
