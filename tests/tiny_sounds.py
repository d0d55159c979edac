"""Checkpoints of a few thousand weights for sounds, in hub layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    HubertConfig,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
)

LABELS = ("bell", "dog", "rain")
_LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "hidden_size": 32}
_CONVOLUTIONS = {
    "conv_dim": (16,) * 7,
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
}
_WHISPER = {
    "vocab_size": 60,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_target_positions": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 2,
    "classifier_proj_size": 16,
}


def write_sound_checkpoint(folder: Path, kind: str, *, labels: Sequence[str] = LABELS, **config: Any) -> Path:
    """A random classifier; ``whisper-asr`` is a recogniser."""
    names = {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
    names |= {"label2id": {label: place for place, label in enumerate(labels)}}
    torch.manual_seed(7)
    model: Any
    extractor: Any
    if kind in ("wav2vec2", "hubert"):
        make, model_class = {
            "wav2vec2": (Wav2Vec2Config, Wav2Vec2ForSequenceClassification),
            "hubert": (HubertConfig, HubertForSequenceClassification),
        }[kind]
        model = model_class(make(**{**_LAYERS, **_CONVOLUTIONS, **names, **config}))
        extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    elif kind == "ast":
        sizes = {"num_mel_bins": 16, "max_length": 40, "patch_size": 8, "frequency_stride": 8, "time_stride": 8}
        model = ASTForAudioClassification(ASTConfig(**{**_LAYERS, **sizes, **names, **config}))
        extractor = ASTFeatureExtractor(num_mel_bins=16, max_length=40)
    elif kind == "whisper":
        model = WhisperForAudioClassification(WhisperConfig(**{**_WHISPER, **names, **config}))
        extractor = WhisperFeatureExtractor()
    else:
        model = WhisperForConditionalGeneration(WhisperConfig(**{**_WHISPER, **config}))
        extractor = WhisperFeatureExtractor()
    with torch.no_grad():  # fresh weights are so small that every answer is nearly the same
        for name, weight in model.named_parameters():
            if "original" in name or "embed_positions" in name:
                continue
            if weight.dim() > 1:
                weight.mul_(4.0)
            else:  # biases of zero and norms of one would be shared or left out by the exporter
                weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder
