"""The fine-tune job on sounds, from zip to published version, on a tiny Whisper encoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

from adapters import importing
from adapters.datasets import FileStore
from adapters.jobs import Hyperparameters, JobKind, JobSpec
from adapters.training import adapt
from tests.adapters.datasets.zips import pack
from tests.adapters.training.quiet_context import QuietContext, context_for
from tests.conftest import TinyZoo
from tests.tiny_sounds import write_sound_checkpoint
from tests.zoo.tasks.processors.sound_files import sound_of, tone
from zoo.engine.predictor import Predictor

FAST = Hyperparameters(n_epochs=2, batch_size=8, learning_rate=0.003)
PITCHES = {"high": 3000.0, "low": 250.0, "middle": 900.0}


def sounded(hertz: float, seed: int) -> bytes:
    """A note near a pitch, in noise, of 0.2 to 0.7 s."""
    draw = np.random.default_rng(seed)
    note = tone(float(draw.uniform(0.2, 0.7)), hertz=hertz * float(draw.uniform(0.9, 1.1)))
    return sound_of(np.asarray(0.8 * note + 0.02 * draw.standard_normal(len(note)), dtype=np.float32), "FLAC")


def pitches(each: int) -> dict[str, bytes | str]:
    return {
        f"{name}/{place}.flac": sounded(hertz, 1000 * number + place)
        for number, (name, hertz) in enumerate(PITCHES.items())
        for place in range(each)
    }


def adapted(home: Path) -> tuple[TinyZoo, dict[str, Any], QuietContext]:
    """Import a tiny body, if it is not there yet, and adapt it to pitches."""
    zoo = TinyZoo(home / "home", home / "checkpoints")
    folder = write_sound_checkpoint(zoo.checkpoints / "body", "whisper")
    if "body" not in zoo.store.names():
        bring = JobSpec(kind=JobKind.IMPORT, model="body", source={"kind": "folder", "path": str(folder)})
        importing.run(context_for(zoo.home, bring, job="import"), zoo.settings)

    async def chunks() -> AsyncIterator[bytes]:
        yield pack(pitches(20))

    files = FileStore(zoo.home, zoo.settings)
    sent = asyncio.run(files.receive(chunks(), filename="pitches.zip", purpose="fine-tune")).id
    job = JobSpec(kind=JobKind.ADAPT, model="body", suffix="pitches", training_file=sent, hyperparameters=FAST)
    context = context_for(zoo.home, job)
    return zoo, adapt.run(context, zoo.settings), context


def test_a_body_learns_pitches_and_is_served(tmp_path: Path) -> None:
    zoo, result, context = adapted(tmp_path)
    entry = zoo.store.entry("pitches", 1)
    assert result["fine_tuned_model"] == entry.reference == "pitches@1"
    assert (entry.task, entry.modality, entry.labels) == ("audio-classification", "audio", tuple(PITCHES))
    assert set(result["metrics"]) == {"heldout", "probe"}
    assert entry.parity["argmax_agreement"] == 1.0
    assert "Trained once more on all 60 rows of the training file" in context.messages
    assert {file.path for file in entry.files} >= {"model.onnx", "adapter/adapter_config.json", "README.md"}
    predictor = Predictor(entry, zoo.store.folder("pitches", 1), threads=1)
    fresh = [(name, sounded(hertz, 90_000 + place)) for name, hertz in PITCHES.items() for place in range(4)]
    answers: Any = predictor.predict([one for _, one in fresh], {"top_k": 1}).body
    right = [answer[0]["label"] == name for answer, (name, _) in zip(answers, fresh, strict=True)]
    assert sum(right) >= 0.8 * len(right)  # a guess is right once in three times
    card = (zoo.store.folder("pitches", 1) / "README.md").read_text()
    assert "Of a sound the first 30 s are heard." in card
