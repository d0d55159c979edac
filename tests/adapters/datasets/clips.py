"""Writes small clips of audio and zips of them."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import soundfile
from numpy.typing import NDArray


def noise(seed: int, seconds: float = 0.5, rate: int = 8000, *, loudness: float = 0.3) -> NDArray[np.float32]:
    """The same seed, length and rate give the same samples, in steps of 16 bits."""
    samples = np.random.default_rng(seed).uniform(-loudness, loudness, round(seconds * rate))
    return (np.rint(samples * 32767) / 32768).astype(np.float32)


def saved(samples: NDArray[np.float32], rate: int = 8000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """The bytes of a file; samples (n,) or (n, channels)."""
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format=kind, subtype=subtype)
    return target.getvalue()


def clip(seed: int, seconds: float = 0.5, rate: int = 8000, kind: str = "WAV") -> bytes:
    """A file of noise."""
    return saved(noise(seed, seconds, rate), rate, kind)


def classes(per_class: int = 3, names: tuple[str, ...] = ("no", "yes"), under: str = "") -> dict[str, bytes | str]:
    """A folder of clips for each class; no two are alike."""
    return {
        f"{under}{name}/{place}.wav": clip(1000 * number + place)
        for number, name in enumerate(names)
        for place in range(per_class)
    }


SENTENCES = (
    "The ship sailed out at dawn.",
    "Nobody had seen the old man.",
    "She closed the door and left.",
    "We walked along the river bank.",
    "It was a cold and bright day.",
    "They never came back to town.",
)


def spoken(texts: Mapping[str, str] | None = None, *, seconds: float = 2.0) -> dict[str, bytes | str]:
    """Clips ``0.wav``, … and their transcripts in metadata.csv; ``texts`` replaces or adds some of them."""
    said = {f"{place}.wav": text for place, text in enumerate(SENTENCES)} | dict(texts or {})
    files: dict[str, bytes | str] = {name: clip(place, seconds) for place, name in enumerate(said)}
    return files | {"metadata.csv": listing(said)}


def listing(said: Mapping[str, str], column: str = "text") -> str:
    """A metadata.csv."""
    return f"file_name,{column}\n" + "".join(f'{name},"{text}"\n' for name, text in said.items())
