"""How a checkpoint wants its pictures: resize, centre crop and scale, as data that a manifest holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from zoo.errors import ArtifactCorrupt

MAX_EDGE = 4096
Edge = Annotated[int, Field(ge=1, le=MAX_EDGE, strict=True)]
Triple = tuple[float, float, float]
Size = tuple[int, int]
Resample = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class Exact:
    """To one size, whatever the proportions."""

    height: Edge
    width: Edge
    mode: Literal["exact"] = "exact"

    def of(self, height: int, width: int) -> Size:
        """(height, width) of the resized picture."""
        return self.height, self.width


@dataclass(frozen=True, config=_STRICT)
class Shortest:
    """The shorter side to ``shortest``, the longer one in proportion, rounded down."""

    shortest: Edge
    mode: Literal["shortest"] = "shortest"

    def of(self, height: int, width: int) -> Size:
        """(height, width) of the resized picture."""
        if width <= height:
            return int(self.shortest * height / width), self.shortest
        return self.shortest, int(self.shortest * width / height)


@dataclass(frozen=True, config=_STRICT)
class ShortestLongest:
    """The shorter side to ``shortest``, or less where the longer one would pass ``longest`` (DETR, arXiv:2005.12872).

    ``multiple``: both sides are cut down to multiples of it (16 for YOLOS). The rounding is that of transformers 5.23.
    """

    shortest: Edge
    longest: Edge
    multiple: Edge = 1
    mode: Literal["shortest_longest"] = "shortest_longest"

    def of(self, height: int, width: int) -> Size:
        """(height, width) of the resized picture; 0 where a picture is too narrow."""
        short, long = min(height, width), max(height, width)
        side: float = self.shortest
        if long / short * self.shortest > self.longest:
            side = self.longest * float(short) / long
        edge = round(side)
        if edge == short and (self.multiple == 1 or width >= height):
            resized = (height, width)
        elif width < height:
            resized = (int(side * height / width), edge)
        else:
            resized = (edge, int(side * width / height))
        return resized[0] // self.multiple * self.multiple, resized[1] // self.multiple * self.multiple


@dataclass(frozen=True, config=_STRICT)
class Fit:
    """As large as fits into one size in proportion; the rest, below and right, is filled with the mean colour."""

    height: Edge
    width: Edge
    mode: Literal["fit"] = "fit"

    def of(self, height: int, width: int) -> Size:
        """(height, width) of the resized picture."""
        scale = min(self.height / height, self.width / width)
        return min(self.height, max(1, round(height * scale))), min(self.width, max(1, round(width * scale)))


@dataclass(frozen=True, config=_STRICT)
class Crop:
    """The middle of the resized picture, with black around it where that is smaller.

    ``rounding`` of half a pixel: ``down`` as transformers does, ``even`` as torchvision and so timm do.
    """

    height: Edge
    width: Edge
    rounding: Literal["down", "even"] = "down"

    def offset(self, length: int, edge: int) -> int:
        """Where the crop of ``edge`` pixels begins on a side of ``length``; negative where it is longer."""
        spare = length - edge
        if self.rounding == "down":
            return spare // 2
        return round(spare / 2) if spare >= 0 else -(-spare // 2)


@dataclass(frozen=True, config=_STRICT)
class Preprocessing:
    """Resize, crop, then ``(pixel * rescale - mean) / std`` for each of red, green and blue, pixels being 0 to 255."""

    resize: Annotated[Exact | Shortest | ShortestLongest | Fit, Field(discriminator="mode")] | None = None
    resample: Resample = "bilinear"
    crop: Crop | None = None
    rescale: float = 1 / 255
    mean: Triple = (0.0, 0.0, 0.0)
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (
        1.0,
        1.0,
        1.0,
    )

    @classmethod
    def of(cls, written: object) -> Preprocessing:
        """From the dict that ``as_dict`` gave, e.g. a manifest's ``options["preprocessing"]``.

        Raises ``ArtifactCorrupt`` that names the field at fault.
        """
        if not isinstance(written, Mapping):
            raise ArtifactCorrupt("preprocessing in the model's manifest is missing: import or adapt the model again.")
        try:
            return _ADAPTER.validate_python(dict(written))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in ("preprocessing", *first["loc"]))[:100]
            message = f"{where} in the model's manifest: {first['msg']}. Import or adapt the model again."
            raise ArtifactCorrupt(message) from None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; ``of`` reads it."""
        written = asdict(self)
        return {**written, "mean": list(self.mean), "std": list(self.std)}

    @property
    def fixed(self) -> Size | None:
        """(height, width) of every prepared picture, ``None`` where it depends on the picture."""
        if self.crop is not None:
            return self.crop.height, self.crop.width
        return (self.resize.height, self.resize.width) if isinstance(self.resize, Exact | Fit) else None


_ADAPTER = TypeAdapter(Preprocessing)
