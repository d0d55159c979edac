"""Checkpoints of a few thousand weights in hub layout, and a data set that they can learn: no downloads, no weights."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
)

WORDS = {
    "billing": ["invoice", "charged", "refund", "card", "payment", "price"],
    "delivery": ["parcel", "courier", "late", "address", "shipped", "lost"],
    "account": ["password", "login", "email", "locked", "profile", "delete"],
}
FILLERS = ["my", "the", "is", "please", "help", "was", "again", "today", "why", "order", "not", "and"]
LABELS = ("account", "billing", "delivery")


def tokenizer() -> Tokenizer:
    """Lower-case words of this file, and letters for everything else."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = sorted({word for group in WORDS.values() for word in group} | set(FILLERS))
    pieces = [*special, *letters, *("##" + letter for letter in letters), *words, *".,!?0123456789"]
    made = Tokenizer(WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    made.normalizer = BertNormalizer(lowercase=True)
    made.pre_tokenizer = BertPreTokenizer()
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", special.index("[CLS]")), ("[SEP]", special.index("[SEP]"))],
    )
    return made


def write_tokenizer(folder: Path) -> int:
    """The tokenizer's files; its number of pieces."""
    made = tokenizer()
    made.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 48,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return int(made.get_vocab_size())


def write_checkpoint(
    folder: Path,
    *,
    kind: str = "bert",
    labels: Sequence[str] = (),
    pooling: str | None = "mean",
    **config: Any,
) -> Path:
    """A random ``bert`` or ``distilbert``: with ``labels`` a classifier, else a pooled sentence encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(folder)
    if labels:
        config |= {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
        config |= {"label2id": {label: place for place, label in enumerate(labels)}}
    torch.manual_seed(7)
    model: Any
    if kind == "bert":
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        made = BertConfig(vocab_size=vocabulary, max_position_embeddings=64, **{**sizes, **config})
        model = (BertForSequenceClassification if labels else BertModel)(made)
    else:
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
        other = DistilBertConfig(vocab_size=vocabulary, max_position_embeddings=64, **{**sizes, **config})
        model = (DistilBertForSequenceClassification if labels else DistilBertModel)(other)
    with torch.no_grad():  # fresh weights are so small that every answer is nearly the same
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(8.0)
            else:  # biases of zero and norms of one would be shared or left out by the exporter
                weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    if pooling and not labels:
        modules = [{"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling", "Normalize")]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({_POOLING[pooling]: True}))
    return folder


_POOLING = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}


def rows(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """Different texts with their labels, in turn of label; a word of the label's stands in each."""
    draw = random.Random(seed)
    made: dict[str, str] = {}
    while len(made) < count:
        label = LABELS[len(made) % len(LABELS)]
        words = draw.sample(FILLERS, draw.randint(2, 6)) + draw.sample(WORDS[label], draw.randint(1, 2))
        draw.shuffle(words)
        made.setdefault(" ".join(words), label)
    return list(made.items())


def write_csv(path: Path, data: Sequence[tuple[str, str]]) -> Path:
    """A CSV file with the columns text and label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(data)
    return path
