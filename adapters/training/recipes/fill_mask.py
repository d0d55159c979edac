"""fill-mask: imports networks that guess masked words; answered are the words at the masks, not those everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, AutoTokenizer

from adapters.training import checkpoint as checkpoints
from adapters.training.architectures.word_head import EPSILON, WordHead
from adapters.training.encoder import encoder_inputs, example_batch, load_body, load_weights, text_sizes
from adapters.training.layouts.adapted import fill_head
from adapters.training.recipe import Batch, Servable, Size, seeded
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.fill_mask import MASKS

PLACES = "masks"


class FilledMasks(nn.Module):
    """Words for the places that are asked for: (batch, masks, vocabulary).

    The product with the vocabulary, a quarter of BERT's work on a text of 512 tokens, is made at the masks alone.
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, masks: Tensor, **named: Tensor) -> Tensor:
        """``masks`` (batch, masks): places among the tokens."""
        hidden = self.body(**named).last_hidden_state
        places = masks.unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
        logits: Tensor = self.head(hidden.gather(1, places))
        return logits


def load(checkpoint: Path) -> Servable:
    """A checkpoint that was trained to guess masked words; raises ``Unsupported`` for one of another kind."""
    if checkpoints.is_adapted(checkpoint):
        return _load_adapted(checkpoint)
    kind, names = checkpoints.architectures(checkpoint)
    if not any(name.endswith("ForMaskedLM") for name in names) or kind not in _HEADS:
        message = f"The checkpoint fills no masks: it is no ForMaskedLM of {', '.join(sorted(_HEADS))}."
        raise Unsupported(message, code="unsupported_task", param="task")
    checkpoints.ensure_tokenizer(checkpoint)
    model: Any = load_weights(AutoModelForMaskedLM, checkpoint)
    return _servable(FilledMasks(model.base_model, _HEADS[kind](model)), model, checkpoint)


def _load_adapted(checkpoint: Path) -> Servable:
    """An adapter and a head for words beside the body whose table of words the head shares."""
    checkpoints.ensure_tokenizer(checkpoint)
    body: Any = load_body(checkpoint)
    head = WordHead(body.get_input_embeddings().weight, epsilon=getattr(body.config, "layer_norm_eps", EPSILON))
    fill_head(checkpoint, head)
    return _servable(FilledMasks(body, head), body, checkpoint)


def _servable(network: FilledMasks, encoder: nn.Module, checkpoint: Path) -> Servable:
    """``encoder`` takes what the network's body takes."""
    config = checkpoints.load_config(checkpoint)
    inputs = encoder_inputs(encoder)
    limit = checkpoints.max_tokens(checkpoint)

    def example(rows: int, size: Size) -> Batch:
        length, masks = size
        places = torch.randint(length, (rows, masks), generator=seeded(rows + length))
        return {**example_batch(config.vocab_size, inputs, rows, (length,)), PLACES: places}

    counts = (2, 1, 3, 5, MASKS, 1)
    return Servable(
        module=network.eval().requires_grad_(False),
        inputs=(*inputs, PLACES),
        outputs=("logits",),
        example=example,
        sizes=tuple((*size, count) for size, count in zip(text_sizes(limit), counts, strict=True)),
        axes={0: "batch", 1: "length"},
        axes_of={PLACES: {0: "batch", 1: PLACES}},
        bounds={"length": limit, PLACES: MASKS},
        architecture=str(config.model_type),
        limits={"max_tokens": limit},
        options={"pad_token_id": int(config.pad_token_id or 0), **_spelling(checkpoint)},
        files={"tokenizer.json": checkpoint / "tokenizer.json"},
    )


def _spelling(checkpoint: Path) -> dict[str, Any]:
    """The mask, other special tokens, and whether spaces before punctuation are taken out of decoded text."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        message = "The checkpoint's tokenizer_config.json cannot be used."
        raise InvalidInput(message, code="invalid_checkpoint") from error
    if tokenizer.mask_token is None:
        message = "The checkpoint's tokenizer_config.json names no mask_token."
        raise InvalidInput(message, code="invalid_checkpoint")
    pairs = type(tokenizer.backend_tokenizer.model).__name__ == "BPE"  # these keep their spaces in any case
    return {
        "mask_token": str(tokenizer.mask_token),
        "special_tokens": [str(token) for token in tokenizer.all_special_tokens],
        "clean_up_spaces": bool(tokenizer.clean_up_tokenization_spaces) and not pairs,
    }


def _distilbert(model: Any) -> nn.Module:
    return nn.Sequential(model.vocab_transform, model.activation, model.vocab_layer_norm, model.vocab_projector)


def _lm_head(model: Any) -> nn.Module:
    head: nn.Module = model.lm_head
    return head


def _cls(model: Any) -> nn.Module:
    head: nn.Module = model.cls
    return head


_HEADS: dict[str, Callable[[Any], nn.Module]] = {
    "bert": _cls,
    "camembert": _lm_head,
    "distilbert": _distilbert,
    "mpnet": _lm_head,
    "roberta": _lm_head,
    "xlm-roberta": _lm_head,
}
