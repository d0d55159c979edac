"""A tiny Whisper in a zoo, and clips of notes whose pitch says which word is said."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from adapters.datasets import FileStore
from tests.adapters.datasets.zips import pack
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny_whisper import SPEAKING, write_tokenizer, write_whisper
from tests.zoo.tasks.processors.sound_files import sound_of, tone

WORDS = {"high": 3000.0, "low": 250.0}
WRITTEN = MappingProxyType({"high": "High.", "low": "Low."})


def sung(word: str, seed: int) -> bytes:
    """A note of a word's pitch in noise, of 0.2 to 0.5 s: the tiny window has 0.6 s."""
    draw = np.random.default_rng(seed)
    note = tone(float(draw.uniform(0.2, 0.5)), hertz=WORDS[word] * float(draw.uniform(0.95, 1.05)))
    return sound_of(np.asarray(0.8 * note + 0.02 * draw.standard_normal(len(note)), dtype=np.float32), "FLAC")


def clips(each: int, said: Mapping[str, str] = WRITTEN) -> dict[str, bytes | str]:
    """A data set of ``each`` clips of every word, in metadata's layout; ``said`` is how the words are written."""
    rows = [(f"{word}{place}.flac", word, place) for word in WORDS for place in range(each)]
    files: dict[str, bytes | str] = {
        name: sung(word, place + 1000 * list(WORDS).index(word)) for name, word, place in rows
    }
    files["metadata.csv"] = "file_name,text\n" + "".join(f'{name},"{said[word]}"\n' for name, word, _ in rows)
    return files


def teachable() -> WhisperForConditionalGeneration:
    """A random Whisper that is sure of what it says, and wide enough to learn words from a few dozen clips."""
    torch.manual_seed(4)
    config = WhisperConfig(
        vocab_size=SPEAKING,
        d_model=32,
        num_mel_bins=8,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_source_positions=30,
        max_target_positions=20,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=1,
    )
    model = WhisperForConditionalGeneration(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:  # biases of zero and norms of one would be shared or left out by the exporter
            parameter.add_(0.05 * torch.randn_like(parameter))
        elif "embed_tokens" in name:
            parameter.normal_(0.0, 1.0)
        elif "embed_positions" not in name:
            parameter.normal_(0.0, 0.2)
    return model


def speech_zoo(imports: Imports, home: Path) -> TinyZoo:
    """A home with ``ears`` in it, which hears nothing in particular yet."""
    zoo = TinyZoo(home / "home", home / "checkpoints")
    folder = zoo.checkpoints / "ears"
    write_tokenizer(folder)
    write_whisper(folder, teachable())
    imports.bring(zoo.home, "ears", folder, task="automatic-speech-recognition")
    return zoo


def copied(zoo: TinyZoo, home: Path) -> TinyZoo:
    """One that a test may change."""
    shutil.copytree(zoo.home, home / "home")
    return TinyZoo(home / "home", zoo.checkpoints)


def publish_linguist(zoo: TinyZoo) -> None:
    """``tongues``: the same network, said to know English and German."""
    entry, folder = zoo.store.entry("ears", 1), zoo.store.folder("ears", 1)
    tokens = entry.options["whisper"] | {"multilingual": True, "languages": {"en": 258, "de": 263}}
    with zoo.store.staging() as staged:
        shutil.copytree(folder, staged, dirs_exist_ok=True)
        (staged / "manifest.json").unlink()
        zoo.store.publish(staged, entry.model_copy(update={"name": "tongues", "options": {"whisper": tokens}}))


def uploaded(zoo: TinyZoo, files: dict[str, bytes | str]) -> str:
    """The id of a zip of these files in the zoo."""

    async def chunks() -> AsyncIterator[bytes]:
        yield pack(files)

    store = FileStore(zoo.home, zoo.settings)
    return asyncio.run(store.receive(chunks(), filename="clips.zip", purpose="fine-tune")).id
