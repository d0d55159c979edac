"""Whisper of a few thousand weights, in hub layout and in CTranslate2's: no downloads, no weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration

SUPPRESSED, SUPPRESSED_FIRST, ALIGNMENT = [3, 5], [2, 9], [[0, 1], [1, 0]]
SPEAKING = 265 + 31  # tokens of ``write_tokenizer``, with times
CODES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def tiny_whisper(*, seed: int = 3, vocabulary: int = 48) -> WhisperForConditionalGeneration:
    """Random weights, wide enough that another order of heads or layers shows."""
    torch.manual_seed(seed)
    config = WhisperConfig(
        vocab_size=vocabulary,
        d_model=16,
        num_mel_bins=8,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_source_positions=30,
        max_target_positions=20,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=1,
    )
    model = WhisperForConditionalGeneration(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if "embed_positions" not in name:
            parameter.normal_(0.0, 0.3)
    return model


def write_tokenizer(folder: Path) -> None:
    """Every byte is a token, and Whisper's special ones behind them: 256 ends, 257 starts, 265 is 0.00 s."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Tokenizer(BPE({letter: place for place, letter in enumerate(sorted(ByteLevel.alphabet()))}, []))
    made.pre_tokenizer = ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["endoftext", "startoftranscript", "en", "translate", "transcribe", "startofprev", "nospeech"]
    made.add_special_tokens([f"<|{name}|>" for name in [*special, "startoflm", "notimestamps"]])
    made.save(str(folder / "tokenizer.json"))


def write_whisper(folder: Path, model: WhisperForConditionalGeneration) -> Path:
    """In hub layout, with the rules of decoding beside the weights."""
    model.save_pretrained(folder)
    rules = {"suppress_tokens": SUPPRESSED, "begin_suppress_tokens": SUPPRESSED_FIRST, "alignment_heads": ALIGNMENT}
    (folder / "generation_config.json").write_text(json.dumps(rules))
    return folder


def write_ctranslate2(folder: Path, model: WhisperForConditionalGeneration, *, kind: str = "float16") -> Path:
    """As CTranslate2's converter writes it, with weights of the kind ``float32``, ``float16`` or ``int8``."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, weight in _stacked(model.state_dict()).items():
        value = weight.numpy()
        if kind == "int8" and value.ndim > 1 and "encodings" not in name:
            scale = 127 / np.abs(value).reshape(len(value), -1).max(axis=1)
            arrays[f"{name}_scale"] = scale.astype(np.float32)
            value = np.rint(value * scale.reshape(-1, *(1,) * (value.ndim - 1))).astype(np.int8)
        else:
            value = value.astype(np.float32 if kind == "int8" else kind)
        arrays[name] = value
    for side, heads in (("encoder", 2), ("decoder", 2)):
        arrays[f"{side}/num_heads"] = np.array(heads, dtype=np.int16)
    arrays["decoder/pre_norm"] = np.array(1, dtype=np.int8)
    aliases = {"decoder/projection/weight": "decoder/embeddings/weight"}
    (folder / "model.bin").write_bytes(packed("WhisperSpec", dict(sorted(arrays.items())), aliases))
    rules = {"suppress_ids": SUPPRESSED, "suppress_ids_begin": SUPPRESSED_FIRST, "alignment_heads": ALIGNMENT}
    (folder / "config.json").write_text(json.dumps(rules))
    return folder


def write_ears(folder: Path) -> Path:
    """A recogniser as CTranslate2 leaves it, sure of what it says, and with letters in that: nothing is dropped."""
    write_tokenizer(folder)
    model = tiny_whisper(seed=39, vocabulary=SPEAKING)
    model.model.decoder.embed_tokens.weight.mul_(20.0)
    (folder / "vocabulary.json").write_text("[]")  # by which its layout is known
    return write_ctranslate2(folder, model)


def packed(kind: str, arrays: Mapping[str, NDArray[np.generic]], aliases: Mapping[str, str]) -> bytes:
    """The bytes of a ``model.bin`` of version 6."""
    parts = [struct.pack("<I", 6), _text(kind), struct.pack("<II", 3, len(arrays))]
    for name, array in arrays.items():
        data = array.tobytes()
        parts += [_text(name), struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)]
        parts += [struct.pack("<BI", CODES[array.dtype.name], len(data)), data]
    parts.append(struct.pack("<I", len(aliases)))
    parts += [_text(text) for pair in aliases.items() for text in pair]
    return b"".join(parts)


def _text(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data


def _stacked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CTranslate2's names: query, key and value in one, the key's bias zero."""
    found: dict[str, Tensor] = {"decoder/embeddings/weight": state["model.decoder.embed_tokens.weight"]}
    for side in ("encoder", "decoder"):
        top = f"model.{side}"
        found[f"{side}/position_encodings/encodings"] = state[f"{top}.embed_positions.weight"]
        found |= _norm(state, f"{side}/layer_norm", f"{top}.layer_norm")
        for number in range(2):
            ours, theirs = f"{side}/layer_{number}", f"{top}.layers.{number}"
            found |= _attention(state, f"{ours}/self_attention", f"{theirs}.self_attn", ("qkv", "o"))
            found |= _norm(state, f"{ours}/self_attention/layer_norm", f"{theirs}.self_attn_layer_norm")
            if side == "decoder":
                found |= _attention(state, f"{ours}/attention", f"{theirs}.encoder_attn", ("q", "kv", "o"))
                found |= _norm(state, f"{ours}/attention/layer_norm", f"{theirs}.encoder_attn_layer_norm")
            found |= _norm(state, f"{ours}/ffn/layer_norm", f"{theirs}.final_layer_norm")
            for place, name in enumerate(("fc1", "fc2")):
                for part in ("weight", "bias"):
                    found[f"{ours}/ffn/linear_{place}/{part}"] = state[f"{theirs}.{name}.{part}"]
    for name in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            found[f"encoder/{name}/{part}"] = state[f"model.encoder.{name}.{part}"]
    return found


def _norm(state: Mapping[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}/gamma": state[f"{theirs}.weight"], f"{ours}/beta": state[f"{theirs}.bias"]}


def _attention(state: Mapping[str, Tensor], ours: str, theirs: str, stacks: tuple[str, ...]) -> dict[str, Tensor]:
    names = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj"}
    width = state[f"{theirs}.q_proj.bias"].shape[0]
    found = {}
    for place, stack in enumerate(stacks):
        for part in ("weight", "bias"):
            pieces = [state.get(f"{theirs}.{names[letter]}.{part}", torch.zeros(width)) for letter in stack]
            found[f"{ours}/linear_{place}/{part}"] = torch.cat(pieces)
    return found
