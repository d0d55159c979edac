"""Recognisers with CTC of a few thousand weights, in hub layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    HubertConfig,
    HubertForCTC,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", "A", "B", "C", "E", "'"]
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
_SIZES = {
    "vocab_size": len(LETTERS),
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "hidden_size": 32,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def write_ctc_checkpoint(
    folder: Path, kind: str, *, normalise: bool = True, tokenizer: dict[str, Any] | None = None, **config: Any
) -> Path:
    """Writes much to noise, and never the same for long."""
    torch.manual_seed(11)
    make, model_class = {"wav2vec2": (Wav2Vec2Config, Wav2Vec2ForCTC), "hubert": (HubertConfig, HubertForCTC)}[kind]
    model: Any = model_class(make(**{**_SIZES, **config}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "original" not in name and weight.dim() > 1:
                weight.mul_(6.0)
            elif weight.dim() == 1:
                weight.add_(0.1 * torch.randn_like(weight))
        model.lm_head.weight.normal_()
        model.lm_head.weight[4].mul_(1.5)
    model.save_pretrained(folder)
    large = config.get("feat_extract_norm") == "layer"
    Wav2Vec2FeatureExtractor(do_normalize=normalise, return_attention_mask=large).save_pretrained(folder)
    (folder / "letters.json").write_text(json.dumps({letter: place for place, letter in enumerate(LETTERS)}))
    Wav2Vec2CTCTokenizer(str(folder / "letters.json"), **(tokenizer or {})).save_pretrained(folder)
    return folder
