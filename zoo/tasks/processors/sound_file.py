"""Sound files up to their samples: format by content, header checked, opened by libsndfile."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from zoo.errors import InvalidInput, Unsupported

ACCEPTED = "WAV, FLAC, OGG (Vorbis, Opus) or MP3"
# Decoding is bounded by seconds x rate x channels: 25 MB of silent FLAC would else be 300 hours of eight channels.
RATES = (1_000, 192_000)
MAX_CHANNELS = 16
MAX_CHUNKS = 1_000  # of a WAV before its samples; real ones have less than ten
# What is written as the length of a WAV by programs that do not know it yet (ffmpeg and sox into a pipe).
UNKNOWN_LENGTHS = (0xFFFF_FFFF, 0x7FFF_F000)


@dataclass(frozen=True)
class SoundInfo:
    """What a file's header says: ``frames`` is samples per channel, ``seconds`` frames / rate; -1 where unknown."""

    format: str
    rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.rate if self.frames >= 0 else -1.0


def unreadable(why: str) -> InvalidInput:
    """The error for sound of a known format that cannot be decoded."""
    return InvalidInput(f"The sound cannot be read: {why}.", code="invalid_audio", param="inputs")


class SoundFile:
    """One file, read from its start to its end."""

    def __init__(self, file: soundfile.SoundFile, info: SoundInfo) -> None:
        self.info = info
        self._file = file

    def block(self, frames: int) -> NDArray[np.float32]:
        """At most so many frames, (frames, channels); empty at the end. Raises ``InvalidInput`` for damage."""
        try:
            return np.asarray(self._file.read(frames, dtype="float32", always_2d=True), dtype=np.float32)
        except (RuntimeError, ValueError) as error:
            raise unreadable("it is damaged or cut off") from error


@contextmanager
def opened(source: bytes | Path | BinaryIO) -> Iterator[SoundFile]:
    """A sound file ready to be read; ``source``: its bytes, where it lies, or an open file that can seek.

    Raises ``Unsupported`` (``unsupported_media_type``) for other formats, ``InvalidInput`` (``invalid_audio``) for
    damage, more than ``MAX_CHANNELS``, rates outside of ``RATES`` and files without samples.
    """
    if isinstance(source, Path):
        with source.open("rb") as lying, opened(lying) as file:
            yield file
        return
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    kind = _kind(stream)
    if kind == "WAV":
        _check_wav(stream)
    stream.seek(0)
    try:
        decoder = soundfile.SoundFile(_Clamped(stream))
    except (RuntimeError, ValueError, TypeError) as error:
        raise unreadable("its header makes no sense, or it is cut off") from error
    with decoder:
        # soundfile seeks after each read where it can, which fails in FLAC of unknown length
        decoder.seekable = lambda: False
        yield SoundFile(decoder, _checked(decoder, kind))


def _checked(file: soundfile.SoundFile, kind: str) -> SoundInfo:
    rate, channels, frames = file.samplerate, file.channels, file.frames
    if not RATES[0] <= rate <= RATES[1]:
        raise unreadable(f"its rate is {rate} Hz; {RATES[0]} to {RATES[1]} Hz are read. Save it with 16000 Hz")
    if channels > MAX_CHANNELS:
        raise unreadable(f"it has {channels} channels; at most {MAX_CHANNELS} are read. Mix it down to one")
    if frames == 0:
        raise unreadable("it has no samples")
    return SoundInfo(kind, rate, channels, frames if frames < 2**62 else -1)


class _Clamped(io.RawIOBase):
    """A file that moves no further back than its start: an exception inside of libsndfile's calls reaches nobody."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do, but for places before the start."""
        start = {0: 0, 1: self._stream.tell()}.get(whence)
        if start is None:
            start = self._stream.seek(0, 2)
        return self._stream.seek(max(0, start + offset))

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._stream.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Bytes read into the buffer."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Bytes from here on."""
        return self._stream.read(size)


def _kind(stream: BinaryIO) -> str:
    """By the first bytes, behind ID3 tags; raises ``Unsupported``."""
    place = 0
    for _ in range(8):
        stream.seek(place)
        head = stream.read(16)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        place += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "WAV"
    for signature, kind in _KINDS.items():
        if head.startswith(signature):
            return kind
    if len(head) > 2 and head[0] == 0xFF and head[1] >= 0xE0:
        if head[1] & 0x06:
            return "MP3"
        raise _unsupported("This looks like AAC")
    for start, signature, name in _OTHERS:
        if head[start : start + len(signature)] == signature:
            raise _unsupported(f"This looks like {name}")
    raise _unsupported("This is no sound of a known format")


def _unsupported(what: str) -> Unsupported:
    message = f"{what}: send {ACCEPTED}, for example made by `ffmpeg -i yours.m4a yours.flac`."
    return Unsupported(message, code="unsupported_media_type", param="inputs")


def _check_wav(stream: BinaryIO) -> None:
    """Raise ``InvalidInput`` where the header lies: libsndfile takes what it finds instead.

    Chunks up to the samples are walked (RIFF, Microsoft's Multimedia Programming Interface 1.0, section 3).
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    (whole,) = struct.unpack("<4xI4x", stream.read(12))
    if whole == 0xFFFF_FFFF:  # RF64 keeps its lengths elsewhere, and a pipe's writer does not know them
        return
    place = 12
    for _ in range(MAX_CHUNKS):
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            raise unreadable("it has no samples")
        name, length = struct.unpack("<4sI", head)
        place += 8
        if name == b"data":
            if length > size - place and not (length in UNKNOWN_LENGTHS and whole >= length):
                raise unreadable(
                    f"its header announces {length} bytes of samples, the file holds {size - place}. It is cut off"
                )
            return
        if name == b"fmt ":
            _check_format(stream.read(16))
        place += length + length % 2
    raise unreadable(f"it has more than {MAX_CHUNKS} chunks before its samples")


def _check_format(body: bytes) -> None:
    """Of samples that are not compressed: the bytes of a frame have to be those of its channels."""
    if len(body) < 16:
        raise unreadable("its header is cut off")
    coding, channels, _, _, frame, bits = struct.unpack("<HHIIHH", body)
    if coding in (1, 3) and frame != channels * ((bits + 7) // 8):
        raise unreadable(f"its header contradicts itself: {channels} channels of {bits} bits in {frame} bytes")


_KINDS = {b"fLaC": "FLAC", b"OggS": "OGG"}
_OTHERS = (
    (4, b"ftyp", "M4A or MP4"),
    (0, b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b".snd", "AU"),
    (0, b"#!AMR", "AMR"),
    (0, b"0&\xb2u", "WMA"),
    (0, b"MThd", "MIDI, which holds no sound"),
    (0, b"riff", "Wave64"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"%PDF", "a PDF"),
    (0, b"{", "JSON"),
    (0, b"<", "HTML or XML"),
)
