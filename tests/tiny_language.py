"""Checkpoints of a few thousand weights of every text encoder that is served, each with its own kind of tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
)

from tests.tiny import FILLERS, WORDS, tokenizer

KINDS = ("bert", "minilm", "distilbert", "roberta", "mpnet", "electra", "deberta-v3")
NLI = ("contradiction", "entailment", "neutral")
_TEXTS = [" ".join([*FILLERS, *words, "Zürich", "12,5", "This example is."]) for words in WORDS.values()]
_BERT = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
_ROBERTA = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
_DEBERTA = {name: _BERT[name] for name in ("pad_token", "cls_token", "sep_token", "unk_token", "mask_token")}
_ROBERTA_FORM = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
_TYPED = ("bert", "minilm", "electra", "deberta-v3")  # those whose tokenizers number the two texts of a pair
LENGTH = 48


def write_encoder(folder: Path, kind: str, **settings: Any) -> Path:
    """A network without a head."""
    return _write(folder, kind, AutoModel, settings)


def write_filler(folder: Path, kind: str, **settings: Any) -> Path:
    """A network that fills masks."""
    return _write(folder, kind, AutoModelForMaskedLM, settings)


def write_classifier(folder: Path, kind: str, labels: Sequence[str] = NLI, **settings: Any) -> Path:
    """A network that sorts texts; ``problem_type`` and other settings go into its configuration."""
    named = {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
    named |= {"label2id": {label: place for place, label in enumerate(labels)}}
    return _write(folder, kind, AutoModelForSequenceClassification, {**named, **settings})


def _write(folder: Path, kind: str, head: Any, settings: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _write_tokenizer(folder, kind)
    config = _config(kind, vocabulary, settings)
    torch.manual_seed(7)
    model: Any = head.from_config(config)
    with torch.no_grad():  # fresh weights are so small that every answer is nearly the same
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(8.0)
            else:  # biases of zero and norms of one would be shared or left out by the exporter
                weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder


def _config(kind: str, vocabulary: int, settings: dict[str, Any]) -> Any:
    sizes: dict[str, Any] = {"vocab_size": vocabulary, "max_position_embeddings": LENGTH + 18}
    if kind == "distilbert":
        sizes |= {"dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 64}
        return AutoConfig.for_model(kind, **{**sizes, **settings})
    sizes |= {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    if kind == "minilm":
        sizes |= {"hidden_size": 24, "num_attention_heads": 3}
    elif kind == "electra":
        sizes |= {"embedding_size": 16}
    elif kind in ("roberta", "mpnet"):
        sizes |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
    elif kind == "deberta-v3":
        sizes |= {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
        sizes |= {"share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False}
        sizes |= {"type_vocab_size": 0, "pooler_hidden_size": 32}
    names = {"minilm": "bert", "deberta-v3": "deberta-v2"}
    return AutoConfig.for_model(names.get(kind, kind), **{**sizes, **settings})


def _write_tokenizer(folder: Path, kind: str) -> int:
    """As the kind's checkpoints have it, special tokens registered; the number of pieces."""
    special = {"roberta": _ROBERTA, "deberta-v3": _DEBERTA}.get(kind, _BERT)
    made = {"roberta": _byte_level, "mpnet": _mpnet, "deberta-v3": _sentence_pieces}.get(kind, _word_pieces)()
    if kind == "mpnet":
        special = _ROBERTA | {"unk_token": "[UNK]"}
    made.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": LENGTH, **special}
    settings["model_input_names"] = ["input_ids", *(["token_type_ids"] if kind in _TYPED else []), "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return int(made.get_vocab_size())


def _word_pieces() -> Tokenizer:
    made = tokenizer()
    made.add_special_tokens(list(_BERT.values()))
    made.decoder = decoders.WordPiece(prefix="##")
    return made


def _mpnet() -> Tokenizer:
    """Word pieces between RoBERTa's special tokens, two of them between the texts of a pair."""
    special = [*_ROBERTA.values()][:3]
    pieces = list(tokenizer().get_vocab(with_added_tokens=False))
    words = [piece for piece in sorted(pieces) if not piece.startswith("[")]
    vocabulary = [*special, "[UNK]", *words, "<mask>"]
    made = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece(prefix="##")
    made.add_special_tokens([*special, "[UNK]", "<mask>"])
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return made


def _byte_level() -> Tokenizer:
    """As RoBERTa's: bytes, and words with the space before them; the mask takes the space before it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(_ROBERTA.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(_TEXTS, trainer)
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return made


def _sentence_pieces() -> Tokenizer:
    """As DeBERTa-v3's: pieces with scores, spaces as part of them."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=list(_DEBERTA.values()), unk_token="[UNK]", show_progress=False
    )
    made.train_from_iterator(_TEXTS, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return made
