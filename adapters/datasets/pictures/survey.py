"""What is known of every picture and mask after each has been decoded once: kept beside the zip as JSON lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.datasets.archives import Archive
from adapters.datasets.pictures.masks import open_mask
from zoo.errors import ZooError
from zoo.tasks.processors.image import open_picture

INLINE_PICTURES = 4000
INLINE_PIXELS = 100_000_000
INLINE_SECONDS = 20.0  # pictures that cannot be read cost time, too, and have no pixels
_FORMATS = ((b"\xff\xd8", "JPEG"), (b"\x89PNG", "PNG"), (b"RIFF", "WEBP"), (b"GIF8", "GIF"), (b"BM", "BMP"))

Progress = Callable[[int, int], None]


class TooMuch(Exception):
    """More to decode than a request may take; what has been decoded is in ``survey``."""

    def __init__(self, survey: Survey) -> None:
        super().__init__("too much to decode")
        self.survey = survey


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry. Sizes are of the upright picture; ``fingerprint`` is equal for equal pixels.

    ``values``: pixels of each value of a mask. ``fault``: code and message of an entry that cannot be read.
    """

    width: int = 0
    height: int = 0
    format: str = ""
    bytes: int = 0
    fingerprint: str = ""
    values: tuple[tuple[int, int], ...] = ()
    fault: tuple[str, str] | None = None


class Survey:
    """Facts by the entry's name; pictures and masks apart, for one entry may serve as both."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], Fact] = {}

    def picture(self, name: str) -> Fact:
        """The fact about a picture that has been decoded."""
        return self._facts["image", name]

    def mask(self, name: str) -> Fact:
        """The fact about a mask that has been decoded."""
        return self._facts["mask", name]

    def take(
        self,
        archive: Archive,
        pictures: Iterable[str],
        masks: Iterable[str],
        *,
        bounded: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Decode what is not known yet, one entry at a time.

        ``bounded``: raise ``TooMuch`` at 4,000 pictures, 100 megapixels or 20 s. ``progress(done, total)`` may raise.
        """
        missing = [("image", name) for name in pictures] + [("mask", name) for name in masks]
        missing = [key for key in dict.fromkeys(missing) if key not in self._facts]
        pixels, started = 0, time.monotonic()
        for done, (role, name) in enumerate(missing):
            late = time.monotonic() - started >= INLINE_SECONDS
            many = done >= INLINE_PICTURES * (1 + (role == "mask")) or pixels >= INLINE_PIXELS
            if bounded and (late or many):
                raise TooMuch(self)
            if progress is not None:
                progress(done, len(missing))
            fact = _look(archive, name, _measure if role == "image" else _measure_mask)
            pixels += fact.width * fact.height * (role == "image")
            self._facts[role, name] = fact

    def write(self, path: Path) -> None:
        """One JSON array a line: role, name, and the fact's fields."""
        with path.open("w", encoding="utf-8") as sink:
            for (role, name), fact in self._facts.items():
                row = [role, name, fact.width, fact.height, fact.format, fact.bytes, fact.fingerprint]
                sink.write(json.dumps([*row, fact.values, fact.fault]) + "\n")

    @classmethod
    def read(cls, path: Path) -> Survey:
        """What ``write`` has written; empty if there is no such file."""
        survey = cls()
        if path.exists():
            with path.open(encoding="utf-8") as source:
                for line in source:
                    role, name, width, height, kind, size, fingerprint, values, fault = json.loads(line)
                    pairs = tuple((value, count) for value, count in values)
                    known = Fact(width, height, kind, size, fingerprint, pairs, tuple(fault) if fault else None)
                    survey._facts[role, name] = known
        return survey


def _look(archive: Archive, name: str, measure: Callable[[bytes], Fact]) -> Fact:
    try:
        return measure(archive.read(name))
    except ZooError as error:
        return Fact(fault=(error.code, error.message))


def _measure(data: bytes) -> Fact:
    picture = open_picture(data)
    height, width = picture.shape[:2]
    kind = next((name for signature, name in _FORMATS if data.startswith(signature)), "")
    return Fact(width, height, kind, len(data), _fingerprint(picture))


def _measure_mask(data: bytes) -> Fact:
    mask = open_mask(data)
    height, width = mask.shape
    counts = np.bincount(mask.ravel(), minlength=256)
    found = tuple((int(value), int(counts[value])) for value in np.flatnonzero(counts))
    return Fact(width, height, "PNG", len(data), values=found)


def _fingerprint(picture: NDArray[np.uint8]) -> str:
    """128 bits of size and pixels: the same picture saved anew without loss has the same."""
    hasher = blake2b(str(picture.shape).encode(), digest_size=16)
    hasher.update(np.ascontiguousarray(picture).data)
    return hasher.hexdigest()
