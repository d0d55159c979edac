"""Sound as it is sent, to mono samples at the rate that a model wants: in blocks, whatever the length."""

from __future__ import annotations

import base64
import io
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import soxr
from numpy.typing import NDArray

from zoo.errors import TooLarge
from zoo.tasks.processors.sent import Sent
from zoo.tasks.processors.sound_file import ACCEPTED, SoundFile, SoundInfo, opened, unreadable

__all__ = [
    "ACCEPTED",
    "MAX_BYTES",
    "SAMPLE",
    "Sound",
    "SoundInfo",
    "blocks",
    "open_sound",
    "read_sound",
    "sound_blocks",
    "sound_info",
]

MAX_BYTES = 25_000_000
BLOCK = 1 << 17  # values decoded at once, all channels counted: half a megabyte
LOUDEST = 1e6  # times full scale; beyond it squares of float32 overflow in the features
# 10 ms of silence at 8 kHz: a WAV of 16 bits.
SAMPLE: bytes = base64.b64decode("UklGRsQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YaAAAAA=") + bytes(160)
_SENT = Sent("sound", "audio", MAX_BYTES, too_large="audio_too_long", invalid="invalid_audio")


@dataclass(frozen=True, eq=False)
class Sound:
    """Mono samples (n,) float32, full scale -1 to 1, at ``rate`` a second."""

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.rate


def sound_info(source: bytes | Path | BinaryIO) -> SoundInfo:
    """What the header says, nothing decoded; raises as ``open_sound``. FLAC of unknown length has -1 frames."""
    with opened(source) as file:
        return file.info


def open_sound(item: object, *, rate: int, most_seconds: float) -> NDArray[np.float32]:
    """Mono samples (n,) at ``rate``, the mean of all channels, resampled by soxr (HQ).

    ``item``: bytes of a file, or its base64 (also as a ``data:audio/…`` URL). Raises ``TooLarge``
    (``audio_too_long``) above ``most_seconds``, by the header or as soon as it is decoded so far, or above
    ``MAX_BYTES``; ``Unsupported`` (``unsupported_media_type``) for other formats, else ``InvalidInput``
    (``invalid_audio``). Thread-safe.
    """
    whole = blocks(_SENT.read(item), rate=rate, seconds=math.inf, most_seconds=most_seconds)
    return next(whole)


def sound_blocks(item: object, *, rate: int, seconds: float, most_seconds: float) -> Iterator[NDArray[np.float32]]:
    """As ``blocks``, of an item as ``open_sound`` takes it, or of an open file of any size."""
    source = item if isinstance(item, io.IOBase) else io.BytesIO(_SENT.read(item))
    return blocks(cast(BinaryIO, source), rate=rate, seconds=seconds, most_seconds=most_seconds)


def read_sound(item: object, *, most_seconds: float) -> Sound:
    """As ``open_sound``, at the file's own rate."""
    with opened(_SENT.read(item)) as file:
        return Sound(np.concatenate(list(_mono(file, most_seconds))), file.info.rate)


def blocks(
    source: bytes | Path | BinaryIO, *, rate: int, seconds: float, most_seconds: float = math.inf
) -> Iterator[NDArray[np.float32]]:
    """Mono samples at ``rate``, block by block of ``seconds``, the last one shorter; the file is never held decoded.

    Joined they are what ``open_sound`` gives. Raises as it does, at the first block or at that which is damaged.
    """
    with opened(source) as file:
        yield from _cut(_resampled(_mono(file, most_seconds), file.info.rate, rate), rate * seconds)


def _mono(file: SoundFile, most_seconds: float) -> Iterator[NDArray[np.float32]]:
    """(n,) float32 at the file's own rate; never empty in all."""
    info, most = file.info, most_seconds * file.info.rate
    if info.frames > most:
        raise _too_long(most_seconds)
    read = 0
    while len(block := file.block(max(1, BLOCK // info.channels))):
        read += len(block)
        if read > most:
            raise _too_long(most_seconds)
        mixed = block[:, 0] if info.channels == 1 else block.mean(axis=1, dtype=np.float32)
        if not np.abs(mixed).max() <= LOUDEST:  # also where it is no number
            raise unreadable("it has samples that are no numbers or far beyond full scale (1.0)")
        yield np.ascontiguousarray(mixed)
    if not read:
        raise unreadable("it has no samples")
    if info.format == "FLAC" and read < info.frames:
        raise unreadable(f"its header announces {info.frames} samples, {read} are there. It is cut off")


def _too_long(most_seconds: float) -> TooLarge:
    message = f"The sound is longer than {most_seconds:g} seconds, the most that is read here. Send it in parts."
    return TooLarge(message, code="audio_too_long", param="inputs")


def _resampled(parts: Iterator[NDArray[np.float32]], given: int, wanted: int) -> Iterator[NDArray[np.float32]]:
    if given == wanted:
        yield from parts
        return
    stream = soxr.ResampleStream(given, wanted, 1, dtype="float32", quality="HQ")
    for part in parts:
        yield stream.resample_chunk(part)
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def _cut(parts: Iterator[NDArray[np.float32]], length: float) -> Iterator[NDArray[np.float32]]:
    """Blocks of exactly ``length`` samples, but for the last one; one where there is none."""
    size = max(1, round(length)) if math.isfinite(length) else sys.maxsize
    kept: list[NDArray[np.float32]] = []
    count, first = 0, True
    for part in parts:
        kept.append(part)
        count += len(part)
        if count < size:
            continue
        joined, whole = np.concatenate(kept), count // size * size
        for start in range(0, whole, size):
            yield joined[start : start + size]
        kept, count, first = [joined[whole:]], count - whole, False
    if count or first:
        yield np.concatenate(kept)
