"""Text-to-text checkpoints in hub layout: Marian, BART, M2M-100 and T5."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoModelForSeq2SeqLM

from adapters.training import checkpoint as checkpoints
from adapters.training.architectures.text_stacks import STACKS
from adapters.training.encoder import load_weights
from adapters.training.texts.vocabulary import read_vocabulary
from zoo.errors import Unsupported
from zoo.tasks.decoding.text_settings import TextSettings
from zoo.tasks.ready_made.search_rules import MOST_WITHOUT_PLACES, directions_of, generation_of, one_token


@dataclass(frozen=True)
class TextToTextCheckpoint:
    """The network in float32, what its manifest says of it, and the files that are served beside the graphs.

    ``most`` tokens are read at the most, special ones included.
    """

    model: Any
    settings: TextSettings
    files: dict[str, Path]
    most: int


def read_model(checkpoint: Path) -> nn.Module:
    """transformers' network, frozen; raises ``Unsupported`` for other architectures."""
    kind, names = checkpoints.architectures(checkpoint)
    if kind not in STACKS:
        known = ", ".join(sorted(STACKS))
        message = f"Text-to-text models of the type {kind[:64]} are not imported; {known} are."
        raise Unsupported(message, code="unsupported_architecture")
    if not any(name.endswith(("ForConditionalGeneration", "MTModel")) for name in names):
        message = "The checkpoint does not write texts: its config.json names no class that does."
        raise Unsupported(message, code="unsupported_task", param="task")
    return load_weights(AutoModelForSeq2SeqLM, checkpoint).eval().requires_grad_(False)


def read_text_to_text(checkpoint: Path, tasks: re.Pattern[str]) -> TextToTextCheckpoint:
    """A folder with safetensors, a tokenizer in any of its forms, and perhaps ``generation_config.json``.

    ``tasks``: what those of a network that has several are called in its ``config.json``.
    Raises ``InvalidInput`` (``invalid_checkpoint``) for files that are missing or contradict each other.
    """
    model: Any = read_model(checkpoint)
    vocabulary = read_vocabulary(checkpoint)
    config, search = model.config, model.generation_config
    places = getattr(config, "max_position_embeddings", None) or MOST_WITHOUT_PLACES
    attention = getattr(config, "decoder_attention_heads", None) or config.num_heads
    settings = TextSettings(
        layers=getattr(config, "decoder_layers", None) or config.num_decoder_layers,
        heads=attention,
        width=getattr(config, "d_kv", None) or config.d_model // attention,
        vocabulary=config.vocab_size,
        most_tokens=places,
        start=one_token(search.decoder_start_token_id, "decoder_start_token_id"),
        end=one_token(search.eos_token_id, "eos_token_id"),
        pad=one_token(config.pad_token_id, "pad_token_id"),
        directions=directions_of(checkpoint, tasks),
        generation=generation_of(search.to_dict()),
        **vocabulary.settings(),
    )
    return TextToTextCheckpoint(model, settings, vocabulary.files, most=min(places, checkpoints.max_tokens(checkpoint)))
