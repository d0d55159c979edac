"""fill-mask: ``logits`` (batch, tokens, vocabulary), of which the task reads those at the masks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.catalogue.hub_layout import read_json
from zoo.catalogue.onnx_file import OnnxFile
from zoo.errors import InvalidInput
from zoo.tasks.ready_made.description import Description, answers_with, main_graph
from zoo.tasks.ready_made.encoder import INPUTS, encoder, require_head
from zoo.tasks.ready_made.tokens import opened

PLACES = "masks"
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_USUAL = ("[MASK]", "<mask>")  # where a checkpoint leaves it to the class of its tokenizer


def describe(checkpoint: Path, graphs: Mapping[str, OnnxFile]) -> Description:
    """A network that guesses masked words."""
    require_head(checkpoint, "ForMaskedLM", "fill-mask")
    answers = answers_with(main_graph(graphs, INPUTS), "logits").model_copy(update={"places": PLACES})
    return encoder(checkpoint, answers, ("rows", "places", "any"), **_spelling(checkpoint))


def _spelling(checkpoint: Path) -> dict[str, Any]:
    """The mask, other special tokens, and whether spaces before punctuation are taken out of decoded text."""
    settings = read_json(checkpoint / "tokenizer_config.json")
    given = {**read_json(checkpoint / "special_tokens_map.json"), **settings}
    special = dict(_special(given))
    tokenizer = opened(checkpoint)
    mask = special.get("mask_token")
    if mask is None:
        mask = next((token for token in _USUAL if tokenizer.token_to_id(token) is not None), None)
    if mask is None or tokenizer.token_to_id(mask) is None:
        message = "The checkpoint's tokenizer_config.json names no mask_token that tokenizer.json has."
        raise InvalidInput(message, code="invalid_checkpoint")
    pairs = json.loads(tokenizer.to_str())["model"].get("type") == "BPE"  # these keep their spaces in any case
    return {
        "mask_token": mask,
        "special_tokens": sorted({mask, *special.values()}),
        "clean_up_spaces": settings.get("clean_up_tokenization_spaces") is True and not pairs,
    }


def _special(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Role and token; a token is written as it is or as an object of several fields."""
    for role in _ROLES:
        token = given.get(role)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str) and token:
            yield role, token
