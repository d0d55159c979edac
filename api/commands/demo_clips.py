"""The recordings of `zoo demo speech`: notes of an invented workshop, and what is said in them."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from pathlib import Path

CLIPS = Path(__file__).parents[1] / "clips"
LEARN, NEW = CLIPS / "learn", CLIPS / "new"  # to learn from; other sentences with the same words
RATE = 16_000
PAUSE = 0.8  # seconds between two notes of a joined recording


def transcripts(folder: Path) -> list[tuple[Path, str]]:
    """Each clip of a folder with what is said in it, as its metadata.jsonl has them."""
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [(folder / str(row["file_name"]), str(row["text"])) for row in rows]


def write_joined(clips: Sequence[Path], path: Path) -> float:
    """All clips one after another in a WAV file; its seconds."""
    import numpy as np

    from zoo.tasks.processors.sound import open_sound

    pause = np.zeros(round(RATE * PAUSE), np.float32)
    parts = [part for clip in clips for part in (open_sound(clip.read_bytes(), rate=RATE, most_seconds=60), pause)]
    samples = (np.clip(np.concatenate(parts), -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(samples.itemsize)
        written.setframerate(RATE)
        written.writeframes(samples.tobytes())
    return len(samples) / RATE
