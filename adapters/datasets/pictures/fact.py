"""What is measured of a picture and of a mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from adapters.datasets.media.survey import Fact, Survey
from adapters.datasets.pictures.masks import open_mask
from adapters.datasets.report import Pictures, Spread
from zoo.tasks.processors.image import open_picture

INLINE_PIXELS = 100_000_000
_FORMATS = ((b"\xff\xd8", "JPEG"), (b"\x89PNG", "PNG"), (b"RIFF", "WEBP"), (b"GIF8", "GIF"), (b"BM", "BMP"))


@dataclass(frozen=True, slots=True)
class PictureFact(Fact):
    """Sizes are of the upright picture; ``values``: pixels of each value of a mask, empty for a picture."""

    width: int = 0
    height: int = 0
    values: tuple[tuple[int, int], ...] = ()

    @property
    def cost(self) -> float:
        """A request may decode a hundred megapixels of pictures; masks cost little."""
        return 0.0 if self.values else self.width * self.height / INLINE_PIXELS


def picture_fact(survey: Survey, name: str) -> PictureFact:
    """The fact about a picture that has been decoded."""
    fact = survey.fact("image", name)
    assert isinstance(fact, PictureFact)
    return fact


def mask_fact(survey: Survey, name: str) -> PictureFact:
    """The fact about a mask that has been decoded."""
    fact = survey.fact("mask", name)
    assert isinstance(fact, PictureFact)
    return fact


def measure_picture(data: bytes) -> PictureFact:
    """Raises what ``open_picture`` does."""
    picture = open_picture(data)
    height, width = picture.shape[:2]
    kind = next((name for signature, name in _FORMATS if data.startswith(signature)), "")
    return PictureFact(kind, len(data), _fingerprint(picture), width=width, height=height)


def measure_mask(data: bytes) -> PictureFact:
    """Raises what ``open_mask`` does."""
    mask = open_mask(data)
    height, width = mask.shape
    counts = np.bincount(mask.ravel(), minlength=256)
    found = tuple((int(value), int(counts[value])) for value in np.flatnonzero(counts))
    return PictureFact("PNG", len(data), width=width, height=height, values=found)


def picture_figures(facts: Sequence[Fact]) -> dict[str, object]:
    """The report's ``pictures``."""
    pictures = [fact for fact in facts if isinstance(fact, PictureFact)]
    return {
        "pictures": Pictures(
            count=len(pictures),
            bytes=sum(fact.bytes for fact in pictures),
            widths=Spread.of(Counter(fact.width for fact in pictures)),
            heights=Spread.of(Counter(fact.height for fact in pictures)),
            formats=dict(Counter(fact.format for fact in pictures).most_common()),
        )
    }


def _fingerprint(picture: NDArray[np.uint8]) -> str:
    """128 bits of size and pixels: the same picture saved anew without loss has the same."""
    hasher = blake2b(str(picture.shape).encode(), digest_size=16)
    hasher.update(np.ascontiguousarray(picture).data)
    return hasher.hexdigest()
