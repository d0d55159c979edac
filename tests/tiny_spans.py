"""Checkpoints of a few thousand weights that answer for each token: six architectures, three kinds of tokenizer."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
)

from tests.tiny import FILLERS, WORDS, write_tokenizer

KINDS = ("bert", "distilbert", "roberta", "mpnet", "electra", "deberta-v2")
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
_TEXTS = [" ".join([*FILLERS, *words, "Angela Merkel", "U.S.", "Zürich", "12,5"]) for words in WORDS.values()]
_SPECIAL = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}


def write_tokens_checkpoint(
    folder: Path,
    *,
    kind: str = "bert",
    labels: tuple[str, ...] = (),
    answers: bool = False,
    scale: float = 8.0,
    layers: int = 1,
    **settings: Any,
) -> Path:
    """A random network of a kind: with ``labels`` a tagger, with ``answers`` a reader, else an encoder.

    With a large ``scale`` of weights answers differ widely, with a small one words can be told apart and learnt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _write_tokenizer(folder, kind)
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 64, "vocab_size": vocabulary, "max_position_embeddings": 66, "pad_token_id": 0}
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": layers, "n_heads": 2, "hidden_dim": 64, "pad_token_id": 0}
        sizes |= {"vocab_size": vocabulary, "max_position_embeddings": 66}
    if kind == "electra":
        sizes["embedding_size"] = 16
    if kind == "deberta-v2":  # as v3 has it
        sizes |= {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
        sizes |= {"share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False}
        sizes |= {"type_vocab_size": 0}
    if kind == "roberta":
        sizes["type_vocab_size"] = 1
    if kind == "mpnet":
        sizes["pad_token_id"] = 1
    if labels:
        settings |= {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
        settings |= {"label2id": {label: place for place, label in enumerate(labels)}}
    config = AutoConfig.for_model(kind, **{**sizes, **settings})
    torch.manual_seed(7)
    kinds = AutoModelForTokenClassification if labels else AutoModelForQuestionAnswering if answers else AutoModel
    model: Any = kinds.from_config(config)
    with torch.no_grad():  # fresh weights are so small that every answer is nearly the same
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(scale)
            else:
                weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder


def _write_tokenizer(folder: Path, kind: str) -> int:
    if kind not in ("roberta", "deberta-v2"):
        return write_tokenizer(folder)
    made = _byte_level() if kind == "roberta" else _sentence_pieces()
    first, last = ((name, list(_SPECIAL.values()).index(name)) for name in ("<s>", "</s>"))
    if kind == "roberta":
        made.post_processor = processors.RobertaProcessing(last, first, trim_offsets=True, add_prefix_space=False)
    else:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[first, last]
        )
    made.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 48, **_SPECIAL}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return int(made.get_vocab_size())


def _byte_level() -> Tokenizer:
    """As RoBERTa's: bytes, and words with the space before them."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(_SPECIAL.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(_TEXTS, trainer)
    return made


def _sentence_pieces() -> Tokenizer:
    """As DeBERTa-v3's: pieces with scores, spaces as part of them."""
    words = sorted({word for text in _TEXTS for word in text.split()})
    pieces = dict.fromkeys(_SPECIAL.values(), 0.0)
    for word in words:  # in two pieces, the first of which is not a word of its own
        half = -(-len(word) // 2)
        pieces |= {f"▁{word[:half]}": -4.0} | ({word[half:]: -4.0} if word[half:] else {})
    pieces |= dict.fromkeys(sorted({"▁", *"".join(words)} - set(pieces)), -9.0)
    made = Tokenizer(models.Unigram(list(pieces.items()), unk_id=list(pieces).index(_SPECIAL["unk_token"])))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return made


def tagged_rows(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Different rows of tokens and tags: entities of money and of accounts, of one or two words.

    A word tells whether an entity begins or goes on with it, so that a network that knows nothing can learn it.
    """
    draw, kinds = random.Random(seed), {"MONEY": WORDS["billing"], "ACCOUNT": WORDS["account"]}
    made: dict[str, dict[str, Any]] = {}
    while len(made) < count:
        tokens, tags = draw.sample(FILLERS, 2), ["O", "O"]
        for kind in draw.sample(list(kinds), draw.randint(1, 2)):
            words = [draw.choice(kinds[kind][:3]), draw.choice(kinds[kind][3:])][: draw.randint(1, 2)]
            rest = draw.sample(FILLERS, draw.randint(1, 3))
            tokens += [*words, *rest]
            tags += [f"B-{kind}", f"I-{kind}"][: len(words)] + ["O"] * len(rest)
        made.setdefault(" ".join(tokens), {"tokens": tokens, "ner_tags": tags})
    return list(made.values())


def write_jsonl(path: Path, data: Sequence[dict[str, Any]]) -> Path:
    """A row a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
    return path
