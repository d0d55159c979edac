"""A tiny Whisper in a zoo, and clips of notes whose pitch says which word is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from adapters.datasets import FileStore
from adapters.jobs import JobKind, JobSpec
from adapters.training import importing
from tests.adapters.datasets.zips import pack
from tests.adapters.training.quiet_context import context_for
from tests.conftest import TinyZoo
from tests.tiny_whisper import SPEAKING, tiny_whisper, write_tokenizer, write_whisper
from tests.zoo.tasks.processors.sound_files import sound_of, tone

WORDS = {"high": 3000.0, "low": 250.0}


def sung(word: str, seed: int) -> bytes:
    """A note of a word's pitch in noise, of 0.2 to 0.5 s: the tiny window has 0.6 s."""
    draw = np.random.default_rng(seed)
    note = tone(float(draw.uniform(0.2, 0.5)), hertz=WORDS[word] * float(draw.uniform(0.95, 1.05)))
    return sound_of(np.asarray(0.8 * note + 0.02 * draw.standard_normal(len(note)), dtype=np.float32), "FLAC")


def clips(each: int) -> dict[str, bytes | str]:
    """A data set of ``each`` clips of every word, in metadata's layout."""
    rows = [(f"{word}{place}.flac", word, place) for word in WORDS for place in range(each)]
    files: dict[str, bytes | str] = {
        name: sung(word, place + 1000 * list(WORDS).index(word)) for name, word, place in rows
    }
    files["metadata.csv"] = "file_name,text\n" + "".join(f'{name},"{word.title()}."\n' for name, word, _ in rows)
    return files


def speech_zoo(home: Path, *, multilingual: bool = False) -> TinyZoo:
    """A home with ``ears`` in it, which hears nothing in particular yet."""
    zoo = TinyZoo(home / "home", home / "checkpoints")
    folder = zoo.checkpoints / "ears"
    write_tokenizer(folder)
    write_whisper(folder, tiny_whisper(seed=39, vocabulary=SPEAKING), multilingual=multilingual)
    source = {"kind": "folder", "path": str(folder)}
    bring = JobSpec(kind=JobKind.IMPORT, model="ears", source=source, task="automatic-speech-recognition")
    importing.run(context_for(zoo.home, bring, job="import"), zoo.settings)
    return zoo


def uploaded(zoo: TinyZoo, files: dict[str, bytes | str]) -> str:
    """The id of a zip of these files in the zoo."""

    async def chunks() -> AsyncIterator[bytes]:
        yield pack(files)

    store = FileStore(zoo.home, zoo.settings)
    return asyncio.run(store.receive(chunks(), filename="clips.zip", purpose="fine-tune")).id
