"""What a checkpoint in hub layout says about itself: lengths, pooling, labels, tokenizer. Never runs its code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from adapters.training.layouts.ctranslate2 import is_ctranslate2
from zoo.catalogue.hub_layout import architectures, max_tokens, pooling, prompts, read_json, refuse_remote_code
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.ready_made.heads import head_task

__all__ = [
    "ADAPTER",
    "architectures",
    "ensure_tokenizer",
    "infer_task",
    "is_adapted",
    "load_config",
    "max_tokens",
    "pooling",
    "prompts",
    "read_json",
    "refuse_remote_code",
]

ADAPTER = "adapter"  # the folder of what was learnt on a body that lies beside it


def is_adapted(checkpoint: Path) -> bool:
    """Whether the folder holds an adapter beside the weights that it belongs to, or without them yet."""
    return (checkpoint / ADAPTER).is_dir()


def infer_task(checkpoint: Path) -> str:
    """The task that the checkpoint's head was made for; raises ``Unsupported`` for those that cannot be imported."""
    config = read_json(checkpoint / "config.json")
    # timm's layout, and our own, which names its task
    if is_adapted(checkpoint) or ("architecture" in config and "model_type" not in config):
        return str(config.get("task", "image-classification"))
    if is_ctranslate2(checkpoint):  # of such folders only Whisper's are read
        return "automatic-speech-recognition"
    return head_task(checkpoint)


def ensure_tokenizer(checkpoint: Path) -> None:
    """Write ``tokenizer.json`` where there are only vocabulary files; raises ``InvalidInput`` if there are none."""
    if (checkpoint / "tokenizer.json").is_file():
        return
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
        # Without any vocabulary file transformers 5.23 makes a tokenizer that knows special tokens alone.
        if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
            raise ValueError("no vocabulary")
        tokenizer.backend_tokenizer.save(str(checkpoint / "tokenizer.json"))
    except (OSError, ValueError, AttributeError, ImportError):
        message = "The checkpoint has no tokenizer.json and none can be made of its vocabulary files."
        raise InvalidInput(message, code="invalid_checkpoint") from None


def load_config(checkpoint: Path) -> Any:
    """transformers' configuration of the checkpoint, without its code; raises ``Unsupported`` for unknown types."""
    kind, _ = architectures(checkpoint)
    try:
        return AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)
    except (ValueError, KeyError):
        raise Unsupported(f"Models of the type {kind[:64]} are unknown.", code="unsupported_architecture") from None
