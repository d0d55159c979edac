"""Whisper's weights and rules from either layout: CTranslate2's folder, or the hub's safetensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration

from adapters.training.checkpoint import read_json
from adapters.training.layouts.ctranslate2 import WEIGHTS_FILE, Stored, is_ctranslate2, read_arrays
from adapters.training.layouts.parts import fill, unfit
from zoo.errors import Unsupported

CTRANSLATE2_KIND = "WhisperSpec"
_MOST_LAYERS = 64


@dataclass(frozen=True)
class WhisperCheckpoint:
    """The network in float32 with its output tied to the embeddings, and what its makers say of decoding.

    ``suppressed`` token ids are never written, those of ``suppressed_first`` not as the first. ``alignment_heads`` are
    (layer, head) of the decoder whose attention follows the audio: word times are read off them.
    """

    model: WhisperForConditionalGeneration
    suppressed: tuple[int, ...]
    suppressed_first: tuple[int, ...]
    alignment_heads: tuple[tuple[int, int], ...]


def read_ctranslate2(checkpoint: Path) -> WhisperCheckpoint:
    """A CTranslate2 folder; raises ``InvalidInput`` for a damaged one, ``Unsupported`` for one of another network."""
    stored = read_arrays(checkpoint / WEIGHTS_FILE)
    if stored.kind != CTRANSLATE2_KIND:
        message = f"The CTranslate2 folder holds a {stored.kind[:64]}; of such folders only Whisper's are imported."
        raise Unsupported(message, code="unsupported_architecture")
    weights = _renamed(stored)
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(_config(stored, weights))
    weights["proj_out.weight"] = weights["model.decoder.embed_tokens.weight"]
    fill(model, weights)
    model.tie_weights()
    rules = read_json(checkpoint / "config.json")
    return WhisperCheckpoint(
        model=model.eval().requires_grad_(False),
        suppressed=_ids(rules.get("suppress_ids")),
        suppressed_first=_ids(rules.get("suppress_ids_begin")),
        alignment_heads=_heads(rules.get("alignment_heads")),
    )


def read_hub(checkpoint: Path) -> WhisperCheckpoint:
    """A folder in hub layout with ``config.json``, safetensors and perhaps ``generation_config.json``."""
    written = read_json(checkpoint / "config.json")
    rules = {**written, **read_json(checkpoint / "generation_config.json")}
    model, report = WhisperForConditionalGeneration.from_pretrained(
        checkpoint, dtype=torch.float32, output_loading_info=True, use_safetensors=True, local_files_only=True
    )
    missing = sorted(set(report["missing_keys"]) - {"proj_out.weight"})
    if missing:
        raise unfit(f"lacks weights for {len(missing)} parts, such as {missing[0]}")
    return WhisperCheckpoint(
        model=model.eval().requires_grad_(False),
        suppressed=_ids(rules.get("suppress_tokens")),
        suppressed_first=_ids(rules.get("begin_suppress_tokens")),
        alignment_heads=_heads(rules.get("alignment_heads")),
    )


def read_whisper(checkpoint: Path) -> WhisperCheckpoint:
    """The checkpoint in whichever of the two layouts it is."""
    return read_ctranslate2(checkpoint) if is_ctranslate2(checkpoint) else read_hub(checkpoint)


def special_tokens(checkpoint: Path, vocabulary: int) -> dict[str, Any]:
    """Ids by their use, read off ``tokenizer.json``; raises ``InvalidInput`` if one that is needed is missing."""
    added = read_json(checkpoint / "tokenizer.json").get("added_tokens") or []
    ids = {str(token.get("content")): int(token.get("id", -1)) for token in added if isinstance(token, dict)}
    found: dict[str, Any] = {}
    for name, (needed, *texts) in _SPECIAL.items():
        given = next((ids[text] for text in texts if text in ids), None)
        if given is None and needed:
            raise unfit(f"has a tokenizer.json without {texts[0]}")
        if given is not None:
            found[name] = given
    languages = {text[2:-2]: token for text, token in ids.items() if _LANGUAGE.fullmatch(text)}
    # The tokenizer of English models has languages too, and no use for them.
    written = read_json(checkpoint / "generation_config.json").get("is_multilingual")
    found["multilingual"] = written if isinstance(written, bool) else vocabulary >= _MULTILINGUAL
    found["languages"] = languages
    return found


_MULTILINGUAL = 51_865  # tokens, one more than English models have
_LANGUAGE = re.compile(r"<\|[a-z]{2,3}\|>")
# Whether it is needed, and how it is written in one release of Whisper or another.
_SPECIAL: dict[str, tuple[Any, ...]] = {
    "end": (True, "<|endoftext|>"),
    "start": (True, "<|startoftranscript|>"),
    "no_times": (True, "<|notimestamps|>"),
    "previous": (False, "<|startofprev|>"),
    "no_speech": (False, "<|nospeech|>", "<|nocaptions|>"),
    "transcribe": (False, "<|transcribe|>"),
    "translate": (False, "<|translate|>"),
}


def _config(stored: Stored, weights: Mapping[str, Tensor]) -> WhisperConfig:
    """Sizes are read off the weights; the number of heads is stored beside them."""
    try:
        vocabulary, width = weights["model.decoder.embed_tokens.weight"].shape
        bins = weights["model.encoder.conv1.weight"].shape[1]
        inner = {side: weights[f"model.{side}.layers.0.fc1.weight"].shape[0] for side in ("encoder", "decoder")}
        positions = {side: len(weights[f"model.{side}.embed_positions.weight"]) for side in ("encoder", "decoder")}
    except (KeyError, ValueError):
        raise unfit("is no whole Whisper: embeddings, convolutions or position encodings are missing") from None
    heads = {side: stored.number(f"{side}/num_heads") for side in ("encoder", "decoder")}
    if any(count < 1 or width % count for count in heads.values()):
        raise unfit(f"names a number of attention heads that {width} channels cannot be divided into")
    return WhisperConfig(
        vocab_size=vocabulary,
        d_model=width,
        num_mel_bins=bins,
        encoder_layers=_layers(weights, "encoder"),
        decoder_layers=_layers(weights, "decoder"),
        encoder_attention_heads=heads["encoder"],
        decoder_attention_heads=heads["decoder"],
        encoder_ffn_dim=inner["encoder"],
        decoder_ffn_dim=inner["decoder"],
        max_source_positions=positions["encoder"],
        max_target_positions=positions["decoder"],
        # Which tokens are special is the tokenizer's to say.
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
        decoder_start_token_id=0,
        begin_suppress_tokens=None,
    )


def _layers(weights: Mapping[str, Tensor], side: str) -> int:
    numbers = {int(name.split(".")[3]) for name in weights if name.startswith(f"model.{side}.layers.")}
    if not 0 < len(numbers) <= _MOST_LAYERS:
        raise unfit(f"has {len(numbers)} layers in its {side}")
    return len(numbers)


def _renamed(stored: Stored) -> dict[str, Tensor]:
    """transformers' names and shapes; the stacked projections are cut into query, key and value."""
    found: dict[str, Tensor] = {}
    for name, weight in stored.weights():
        side, _, rest = name.partition("/")
        if rest.startswith("layer_") and not rest.startswith("layer_norm"):
            number, _, part = rest.removeprefix("layer_").partition("/")
            found.update(_layer(f"model.{side}.layers.{number}", part, weight))
        else:
            found[f"model.{side}.{_TOP.get(rest, rest)}"] = weight
    return found


_TOP = {
    "embeddings/weight": "embed_tokens.weight",
    "position_encodings/encodings": "embed_positions.weight",
    "layer_norm/gamma": "layer_norm.weight",
    "layer_norm/beta": "layer_norm.bias",
    "conv1/weight": "conv1.weight",
    "conv1/bias": "conv1.bias",
    "conv2/weight": "conv2.weight",
    "conv2/bias": "conv2.bias",
}
_NORMS = {"self_attention": "self_attn_layer_norm", "attention": "encoder_attn_layer_norm", "ffn": "final_layer_norm"}
# Block and place of a linear layer -> the layers that are stacked in it, in order.
_LINEARS = {
    ("self_attention", "linear_0"): ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attention", "linear_1"): ("self_attn.out_proj",),
    ("attention", "linear_0"): ("encoder_attn.q_proj",),
    ("attention", "linear_1"): ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    ("attention", "linear_2"): ("encoder_attn.out_proj",),
    ("ffn", "linear_0"): ("fc1",),
    ("ffn", "linear_1"): ("fc2",),
}


def _layer(prefix: str, part: str, weight: Tensor) -> Iterable[tuple[str, Tensor]]:
    block, _, rest = part.partition("/")
    place, _, kind = rest.partition("/")
    if place == "layer_norm" and block in _NORMS:
        yield f"{prefix}.{_NORMS[block]}.{'weight' if kind == 'gamma' else 'bias'}", weight
        return
    names = _LINEARS.get((block, place))
    if names is None or len(weight) % len(names):
        yield f"{prefix}.{part}", weight  # refused by its name, as nothing has a place for it
        return
    for name, piece in zip(names, weight.chunk(len(names)), strict=True):
        if not (name.endswith("k_proj") and kind == "bias"):  # Whisper's keys have no bias: stored are zeros
            yield f"{prefix}.{name}.{kind}", piece.contiguous()


def _ids(value: Any) -> tuple[int, ...]:
    """Token ids; ``-1`` and what is no list of numbers count as none."""
    if not isinstance(value, list):
        return ()
    return tuple(token for token in value if isinstance(token, int) and token >= 0)


def _heads(value: Any) -> tuple[tuple[int, int], ...]:
    pairs = value if isinstance(value, list) else []
    return tuple((int(pair[0]), int(pair[1])) for pair in pairs if isinstance(pair, list) and len(pair) == 2)
