"""Text encoders of transformers as this project uses them: which inputs they take, and inputs to try them with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from adapters.training.checkpoint import is_adapted
from adapters.training.layouts.adapted import merge
from adapters.training.recipe import Batch, Size, seeded
from zoo.errors import InvalidInput

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Used by no task here, and missing in many published checkpoints: the pooler of BERT-like encoders, and the vector that
# wav2vec2 puts in the place of masked ones while it is trained.
_UNUSED = re.compile(r"^pooler\.|(^|\.)masked_spec_embed$")


def load_weights(
    kind: Any, checkpoint: Path, *, attention: str | None = None, given: Collection[str] = (), **options: Any
) -> nn.Module:
    """A transformers model from safetensors alone; raises ``InvalidInput`` for pickles and what does not fit.

    ``attention`` names transformers' implementation of it; unless set ``sdpa``, or ``eager`` where it has no other.
    ``given``: names of weights that come from elsewhere.
    """
    transformers_logging.disable_progress_bar()  # jobs report their progress by other means
    try:
        model, report = kind.from_pretrained(
            checkpoint,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
            **({} if attention is None else {"attn_implementation": attention}),
            **options,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        message = "The weights cannot be loaded: the checkpoint needs a whole model.safetensors for its config.json."
        raise InvalidInput(message, code="invalid_checkpoint") from error
    absent = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])} - set(given)
    missing = sorted(key for key in absent if not _UNUSED.search(key))
    if missing:
        message = f"The checkpoint lacks weights for {len(missing)} parts, such as {missing[0]}."
        raise InvalidInput(message, code="invalid_checkpoint")
    module: nn.Module = model
    return module


def load_body(checkpoint: Path) -> nn.Module:
    """A text encoder without its head, frozen, with what an adapter beside it has learnt."""
    body = load_weights(AutoModel, checkpoint).requires_grad_(False)
    if is_adapted(checkpoint):
        merge(body, checkpoint)
    return body


def encoder_inputs(model: nn.Module) -> tuple[str, ...]:
    """Which of ids, mask and types the model takes; types only where it has an embedding for them."""
    accepted = inspect.signature(model.forward).parameters
    types = int(getattr(model.config, "type_vocab_size", 0) or 0) > 1
    return tuple(name for name in INPUTS if name in accepted and (name != "token_type_ids" or types))


def encoder_width(config: Any) -> int:
    """Numbers in a token's vector; DistilBERT calls them ``dim``."""
    return int(getattr(config, "hidden_size", 0) or config.dim)


def text_sizes(limit: int) -> tuple[Size, ...]:
    """Lengths to try a text encoder with: a middling one to trace, others up to the longest that it takes."""
    return tuple((min(length, limit),) for length in (17, 1, 5, 64, 33, limit))


def example_batch(vocabulary: int, inputs: tuple[str, ...], rows: int, size: Size) -> Batch:
    """Random ids with a ragged mask (the first row is whole, the others are padded); the same for the same sizes."""
    (length,) = size
    generator = seeded(rows * 10_007 + length)
    ids = torch.randint(min(5, vocabulary - 1), vocabulary, (rows, length), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(1, rows):
        mask[row, max(1, length - row * max(1, length // rows)) :] = 0
    batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    return {name: batch[name] for name in inputs}
