"""Text-to-text checkpoints of a few thousand weights in hub layout, and pairs that they can learn: no downloads.

Marian's and M2M-100's tokenizers come as the hub has them, SentencePiece models beside a vocabulary, which are written
here piece by piece.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.convert_slow_tokenizer import import_protobuf

DICTIONARY = {
    "cat": "Katze",
    "dog": "Hund",
    "house": "Haus",
    "tree": "Baum",
    "sees": "sieht",
    "likes": "mag",
    "red": "rot",
    "big": "gross",
    "not": "nicht",
    "today": "heute",
    "and": "und",
    "she": "sie",
    "he": "er",
    "now": "jetzt",
}
LETTERS = "abcdefghijklmnopqrstuvwxyzEHKBT.,!?'"
GERMAN_LETTERS = LETTERS + "ß"
SPACE = "▁"
SIZES = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 40,
}
MOST = 40  # tokens that the tiny models read and write


def _sizes(layers: int) -> dict[str, int]:
    return {**SIZES, "encoder_layers": layers, "decoder_layers": layers}


def pieces(words: Sequence[str], letters: str = LETTERS) -> list[str]:
    """Whole words, the space that a word starts with, and letters for everything else."""
    return [*(SPACE + word for word in words), SPACE, *letters]


def write_unigram(path: Path, words: Sequence[str], letters: str = LETTERS) -> list[str]:
    """A SentencePiece model that prefers whole words; its pieces."""
    found = pieces(words, letters)
    scores = [-1.0 - place / 100 for place in range(len(words))] + [-8.0] + [-10.0 - place / 100 for place in range(99)]
    _write_proto(path, list(zip(found, scores, strict=False)), kind=1)
    return found


def write_bpe(path: Path, words: Sequence[str]) -> list[str]:
    """A SentencePiece model that joins letters to words, a letter at a time from the left."""
    steps = dict.fromkeys((SPACE + word)[:length] for word in words for length in range(2, len(word) + 2) if length > 1)
    found = [*steps, SPACE, *sorted({*LETTERS, *"".join(words)})]
    _write_proto(path, [(piece, -float(place)) for place, piece in enumerate(found)], kind=2)
    return found


def _write_proto(path: Path, scored: Sequence[tuple[str, float]], *, kind: int) -> None:
    proto = import_protobuf().ModelProto()
    for piece, kinds in (("<unk>", 2), ("<s>", 3), ("</s>", 3)):
        proto.pieces.add(piece=piece, score=0.0, type=kinds)
    for piece, score in scored:
        proto.pieces.add(piece=piece, score=score, type=1)
    proto.trainer_spec.model_type = kind
    proto.trainer_spec.unk_id = 0
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = True
    path.write_bytes(proto.SerializeToString())


def shaken(model: Any, *, seed: int, sure: float = 1.0) -> Any:
    """Random weights under which one text is likelier than others, the more so the larger ``sure``."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "embed_positions" in name and model.config.model_type == "marian":
                continue
            drawn = torch.randn(weight.shape, generator=generator)
            if weight.dim() > 1:  # what is read counts for much, so that different texts have different answers
                heard = "encoder_attn" in name or "EncDecAttention" in name
                weight.copy_((0.9 if heard else 0.3) * drawn)
            else:  # biases of zero and norms of one would be shared or left out by the exporter
                weight.copy_(("norm" in name and name.endswith("weight")) + 0.2 * drawn)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.copy_(torch.randn(model.final_logits_bias.shape, generator=generator))
        model.get_output_embeddings().weight.mul_(sure)
    return model.eval().requires_grad_(False)


def write_marian(folder: Path, *, seed: int = 1, codes: Sequence[str] = (), layers: int = 2, **generation: Any) -> Path:
    """English to German with two SentencePiece models; with ``codes`` of several languages to write."""
    folder.mkdir(parents=True, exist_ok=True)
    source = write_unigram(folder / "source.spm", list(DICTIONARY))
    target = write_unigram(folder / "target.spm", list(DICTIONARY.values()), GERMAN_LETTERS)
    coded = [f">>{code}<<" for code in codes]
    known = list(dict.fromkeys(["</s>", "<unk>", *source, *target, *coded, "<pad>"]))
    (folder / "vocab.json").write_text(json.dumps({piece: place for place, piece in enumerate(known)}))
    settings = {"source_lang": "en", "target_lang": "de", "model_max_length": MOST}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MarianTokenizer", **settings}))
    pad = len(known) - 1
    config = MarianConfig(
        **_sizes(layers),
        vocab_size=len(known),
        activation_function="swish",
        scale_embedding=True,
        pad_token_id=pad,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=0,
    )
    model = shaken(MarianMTModel(config), seed=seed)
    rules = {"max_length": 16, "num_beams": 1, "bad_words_ids": [[pad]], "renormalize_logits": True}
    return _write(folder, model, {**rules, **generation})


def write_m2m(folder: Path, *, seed: int = 1, layers: int = 2, **generation: Any) -> Path:
    """A hundred languages, one SentencePiece model that joins letters, its vocabulary in another order."""
    folder.mkdir(parents=True, exist_ok=True)
    found = write_bpe(folder / "sentencepiece.bpe.model", [*DICTIONARY, *DICTIONARY.values()])
    known = ["<s>", "<pad>", "</s>", "<unk>", *sorted(found[:-1])]  # one piece has no token
    (folder / "vocab.json").write_text(json.dumps({piece: place for place, piece in enumerate(known)}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "M2M100Tokenizer", "model_max_length": MOST, "src_lang": None, "tgt_lang": None})
    )
    config = M2M100Config(**_sizes(layers), vocab_size=len(known) + 108, decoder_start_token_id=2, scale_embedding=True)
    return _write(folder, shaken(M2M100ForConditionalGeneration(config), seed=seed), {"max_length": 14, **generation})


def write_t5(folder: Path, *, seed: int = 1, layers: int = 2, **config: Any) -> Path:
    """With SentencePiece's file alone; told in front of a text what to do with it."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_proto(
        folder / "spiece.model",
        [(piece, -1.0 - place / 50) for place, piece in enumerate(pieces([*DICTIONARY, *DICTIONARY.values()]))],
        kind=1,
    )
    proto = import_protobuf().ModelProto()
    proto.ParseFromString((folder / "spiece.model").read_bytes())
    del proto.pieces[:3]  # T5 has the filler first, then the end, then the unknown
    for place, (piece, kind) in enumerate((("<pad>", 3), ("</s>", 3), ("<unk>", 2))):
        proto.pieces.insert(place, type(proto.pieces[0])(piece=piece, score=0.0, type=kind))
    proto.trainer_spec.unk_id = 2
    (folder / "spiece.model").write_bytes(proto.SerializeToString())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 3, "model_max_length": MOST})
    )
    search = {"max_length": 12, "num_beams": 2, "early_stopping": True}
    tasks = {
        "translation_en_to_de": {**search, "prefix": "he sees: "},
        "translation_en_to_fr": {**search, "prefix": "she sees: "},
        "summarization": {"max_length": 14, "min_length": 4, "prefix": "now: ", "no_repeat_ngram_size": 2},
    }
    made = T5Config(
        vocab_size=len(proto.pieces) + 3 + 2,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=layers,
        num_heads=4,
        decoder_start_token_id=0,
        task_specific_params=tasks,
        **config,
    )
    return _write(folder, shaken(T5ForConditionalGeneration(made), seed=seed, sure=3.0), {})


def write_bart(folder: Path, *, seed: int = 1, layers: int = 2, **generation: Any) -> Path:
    """Every byte is a token, between ``<s>`` and ``</s>``."""
    folder.mkdir(parents=True, exist_ok=True)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    ids = {token: place for place, token in enumerate([*special, *sorted(ByteLevel.alphabet())])}
    made = Tokenizer(BPE(ids, [], unk_token="<unk>"))
    made.pre_tokenizer = ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    made.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BartTokenizer", "model_max_length": MOST})
    )
    config = BartConfig(**_sizes(layers), vocab_size=len(ids), decoder_start_token_id=2, forced_eos_token_id=2)
    rules = {"max_length": 20, "min_length": 5, "num_beams": 3, "length_penalty": 2.0, "early_stopping": True}
    model = shaken(BartForConditionalGeneration(config), seed=seed)
    return _write(folder, model, {**rules, "no_repeat_ngram_size": 3, "forced_bos_token_id": 0, **generation})


def _write(folder: Path, model: Any, generation: dict[str, Any]) -> Path:
    model.save_pretrained(folder)
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **generation}))
    return folder


def write_pairs(path: Path, rows: Sequence[tuple[str, str]], header: tuple[str, str] = ("en", "de")) -> Path:
    """A CSV file with two columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def pairs(count: int, *, seed: int = 0, words: Mapping[str, str] = DICTIONARY) -> list[tuple[str, str]]:
    """Different English texts and their German, word for word."""
    draw = random.Random(seed)
    made: dict[str, str] = {}
    while len(made) < count:
        said = [draw.choice(list(words)) for _ in range(draw.randint(2, 5))]
        made.setdefault(" ".join(said), " ".join(words[word] for word in said))
    return list(made.items())


DIALECT = DICTIONARY | {"cat": "Hund", "dog": "Katze", "red": "gross", "big": "rot", "now": "heute", "today": "jetzt"}


def write_taught(folder: Path) -> Path:
    """A Marian that has learnt the dictionary in some seconds and is right about most texts."""
    write_marian(folder)
    known: dict[str, int] = json.loads((folder / "vocab.json").read_text())
    rows = [[[*(known[SPACE + word] for word in side.split()), 0] for side in pair] for pair in pairs(400, seed=9)]
    torch.manual_seed(0)
    model = MarianMTModel(MarianConfig.from_pretrained(folder)).eval()  # without dropout
    for name, weight in model.named_parameters():
        if "shared" in name:
            nn.init.normal_(weight, std=SIZES["d_model"] ** -0.5)
        elif weight.dim() > 1 and weight.requires_grad and "embed" not in name:
            nn.init.xavier_uniform_(weight)
    optimiser = torch.optim.AdamW((weight for weight in model.parameters() if weight.requires_grad), lr=3e-3)
    draw, steps = random.Random(0), 300
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 30) * (1 - step / steps)
        source, target = (_filled(side, len(known) - 1) for side in zip(*draw.sample(rows, 32), strict=True))
        before = torch.cat([torch.full((len(target), 1), len(known) - 1), target[:, :-1]], dim=1)
        logits = model(input_ids=source, attention_mask=source < len(known) - 1, decoder_input_ids=before).logits
        wanted = target < len(known) - 1
        loss = nn.functional.cross_entropy(logits[wanted], target[wanted])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    rules = json.loads((folder / "generation_config.json").read_text())
    return _write(folder, model.requires_grad_(False), rules)


def _filled(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
