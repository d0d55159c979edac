"""What is measured of a clip of audio."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from adapters.datasets.media.survey import Fact, Survey
from adapters.datasets.report import Clips, Spread
from zoo.errors import InvalidInput, TooLarge
from zoo.tasks.processors.sound import blocks, sound_info

MOST_SECONDS = 60.0  # of a clip; what is longer is not decoded at all
INLINE_SECONDS = 3600.0  # of audio that a request may decode: about ten seconds of work
FULL_SCALE = 0.9999  # 32,767 of 32,768; lossy formats go beyond it where the original was clipped
_BLOCK_SECONDS = 10.0
_FRAMES_A_SECOND = 50
_AUDIBLE = 10 ** (-30 / 20)  # of the loudest 20 ms: what is above it counts as spoken


@dataclass(frozen=True, slots=True)
class ClipFact(Fact):
    """``swing``: half the distance from the least to the greatest sample; ``clipped``: share of them at full scale, 1.

    ``spoken``: seconds that are not 30 dB below the loudest; ``written_rate``: what a WAV's bytes a second amount to in
    samples a second, 0 where nothing says so. All in the mean of the channels, at the file's own ``rate``.
    """

    seconds: float = 0.0
    rate: int = 0
    channels: int = 0
    swing: float = 0.0
    clipped: float = 0.0
    spoken: float = 0.0
    written_rate: int = 0

    @property
    def cost(self) -> float:
        """A request may decode an hour of audio."""
        return self.seconds / INLINE_SECONDS


def clip_fact(survey: Survey, name: str) -> ClipFact:
    """The fact about a clip that has been decoded."""
    fact = survey.fact("audio", name)
    assert isinstance(fact, ClipFact)
    return fact


def measure_clip(data: bytes) -> ClipFact:
    """Raises what ``sound_info`` and ``blocks`` do; above a minute ``TooLarge`` (audio_too_long) without decoding."""
    if not data:
        raise InvalidInput("the file is empty", code="invalid_audio")
    info = sound_info(data)
    if info.seconds > MOST_SECONDS:
        message = f"the clip lasts {info.seconds:,.0f} s by its header; at most {MOST_SECONDS:g} are learnt from"
        raise TooLarge(message, code="audio_too_long")
    hasher = blake2b(str(info.rate).encode(), digest_size=16)
    count, hot, least, most = 0, 0, np.inf, -np.inf
    levels: list[NDArray[np.float32]] = []
    for block in blocks(data, rate=info.rate, seconds=_BLOCK_SECONDS, most_seconds=MOST_SECONDS):
        count += len(block)
        hot += int((np.abs(block) >= FULL_SCALE).sum())
        least, most = min(least, float(block.min())), max(most, float(block.max()))
        # 16 bits: a clip saved anew with more of them, or as floats, is the same clip
        hasher.update(np.clip(np.rint(block * 32767), -32768, 32767).astype("<i2").data)
        levels.append(_levels(block, max(1, info.rate // _FRAMES_A_SECOND)))
    level = np.concatenate(levels)
    spoken = int((level >= level.max() * _AUDIBLE).sum()) / _FRAMES_A_SECOND if level.size and level.max() > 0 else 0.0
    seconds = count / info.rate
    return ClipFact(
        info.format,
        len(data),
        hasher.hexdigest(),
        seconds=seconds,
        rate=info.rate,
        channels=info.channels,
        swing=(most - least) / 2,
        clipped=hot / count,
        spoken=min(spoken, seconds),
        written_rate=_written_rate(data),
    )


def clip_figures(facts: Sequence[Fact]) -> dict[str, object]:
    """The report's ``clips``."""
    clips = [fact for fact in facts if isinstance(fact, ClipFact)]
    return {
        "clips": Clips(
            count=len(clips),
            bytes=sum(fact.bytes for fact in clips),
            hours=round(sum(fact.seconds for fact in clips) / 3600, 4),
            milliseconds=Spread.of(Counter(round(fact.seconds * 1000) for fact in clips)),
            rates=_counted(fact.rate for fact in clips),
            channels=_counted(fact.channels for fact in clips),
            formats=_counted(fact.format for fact in clips),
        )
    }


def _counted(values: Iterable[object]) -> dict[str, int]:
    return {str(value): count for value, count in Counter(values).most_common()}


def _levels(block: NDArray[np.float32], frame: int) -> NDArray[np.float32]:
    """Root mean square of each frame of so many samples; what is left over is the last one."""
    whole = len(block) // frame * frame
    frames = block[:whole].reshape(-1, frame) if whole else block[None]
    return np.sqrt(np.mean(frames * frames, axis=1, dtype=np.float32)).astype(np.float32)


def _written_rate(data: bytes) -> int:
    """By the header of a WAV of samples that are not compressed: bytes a second over bytes a frame."""
    place = data.find(b"fmt ", 12, 4096) if data[:4] in (b"RIFF", b"RF64") else -1
    if place < 0 or len(data) < place + 24:
        return 0
    coding, _, _, second, frame = struct.unpack_from("<HHIIH", data, place + 8)
    return second // frame if coding in (1, 3) and frame else 0
