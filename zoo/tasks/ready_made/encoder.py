"""What ready-made encoders of texts have in common, whatever head they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.catalogue.hub_layout import architectures, max_tokens, read_json
from zoo.catalogue.onnx_file import OnnxFile
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.ready_made.answers import Answers
from zoo.tasks.ready_made.description import TOKENIZER, Description, Shape, needed_tokenizer

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def encoder(
    checkpoint: Path,
    answers: Answers,
    answer: Shape,
    *,
    labels: tuple[str, ...] = (),
    limits: dict[str, int] | None = None,
    **options: Any,
) -> Description:
    """A description with what ``config.json`` and the tokenizer say of every encoder."""
    config = read_json(checkpoint / "config.json")
    return Description(
        labels=labels,
        limits={"max_tokens": max_tokens(checkpoint), **(limits or {})},
        options={"pad_token_id": int(config.get("pad_token_id") or 0), **options},
        answers=answers,
        answer=answer,
        vocabulary=_vocabulary(config),
        files={TOKENIZER: needed_tokenizer(checkpoint)},
    )


def _vocabulary(config: dict[str, Any]) -> int:
    size = config.get("vocab_size")
    if not isinstance(size, int) or size < 2:
        raise InvalidInput("config.json of the checkpoint has no vocab_size.", code="invalid_checkpoint")
    return size


def require_head(checkpoint: Path, ending: str, task: str) -> None:
    """Raise ``Unsupported`` for a checkpoint whose architecture's name does not end so."""
    _, names = architectures(checkpoint)
    if not any(name.endswith(ending) for name in names):
        message = f"The checkpoint has no head for {task}: config.json names no …{ending}."
        raise Unsupported(message, code="unsupported_task", param="task")


def check_width(graph: OnnxFile, output: str, count: int) -> None:
    """Raise ``Unsupported`` where the last axis of an output is known to be another than ``count``."""
    value = graph.output(output)
    last = value.shape[-1] if value is not None and value.shape else None
    if last is not None and last != count:
        message = f"The graph answers {last} numbers where config.json names {count} classes."
        raise Unsupported(message, code="unsupported_graph")
