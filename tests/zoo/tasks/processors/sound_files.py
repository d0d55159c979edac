"""Sound files for tests: whole, and WAV headers made by hand."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import soundfile
from numpy.typing import NDArray


def tone(seconds: float = 0.5, *, rate: int = 16_000, hertz: float = 440.0) -> NDArray[np.float32]:
    return np.asarray(0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate), dtype=np.float32)


def sound_of(
    samples: NDArray[np.float32], kind: str = "WAV", *, rate: int = 16_000, subtype: str | None = None
) -> bytes:
    """``samples``: (n,) or (n, channels)."""
    stream = BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


def wav(
    body: bytes = bytes(3200),
    *,
    rate: int = 16_000,
    channels: int = 1,
    frame: int = 2,
    announced: int | None = None,
    whole: int | None = None,
) -> bytes:
    """16-bit PCM whose header says what it is told to."""
    size = len(body) if announced is None else announced
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, (rate * frame) & 0xFFFF_FFFF, frame, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(body) if whole is None else whole, b"WAVE")
        + head
        + struct.pack("<4sI", b"data", size)
        + body
    )


def silent_flac(minutes: int) -> bytes:
    """16 kHz; 50 kB for each hour."""
    stream = BytesIO()
    with soundfile.SoundFile(stream, "w", 16_000, 1, format="FLAC", compression_level=1.0) as file:
        for _ in range(minutes):
            file.write(np.zeros(60 * 16_000, dtype=np.int16))
    return stream.getvalue()


def announcing(flac: bytes, samples: int) -> bytes:
    """The file with another length in its header (STREAMINFO); 0 means that it is unknown."""
    changed = bytearray(flac)
    changed[21] = changed[21] & 0xF0 | samples >> 32
    changed[22:26] = (samples & 0xFFFF_FFFF).to_bytes(4, "big")
    return bytes(changed)
