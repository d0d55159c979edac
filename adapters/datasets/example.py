"""One usable example of a data set: what training sees."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.datasets.archives import ArchiveFile
from adapters.datasets.fold import fold

_ANSWERS = ("label", "score", "target")  # roles of what is to be answered, not read


@dataclass(frozen=True, slots=True)
class Box:
    """A thing of class ``label``: left, top, width and height in pixels of the upright picture, inside it."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text, of kind ``label``: the place of its first character, and the one behind its last."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Example:
    """``row`` and ``line`` start at 1. ``values``: role -> text, such as ``text`` and ``label``.

    ``labels`` are those that apply, none or more, where any number of them may; None in data of another kind.
    ``files``: role -> a file in the uploaded zip, ``audio``, or ``image`` and, for segmentation, ``mask``, whose pixels
    are class numbers (``pictures.masks.open_mask`` reads it). ``spans`` are entities in the text, or the answers to a
    question, without a label; none: it has no answer. ``fingerprint`` is the file's, ``together`` what examples share
    that no split takes apart though their files differ, ``rarest`` the class by which an example with several is
    counted.
    """

    row: int
    line: int
    values: dict[str, str] = field(default_factory=dict)
    files: dict[str, ArchiveFile] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    spans: tuple[Span, ...] = ()
    labels: tuple[str, ...] | None = None
    fingerprint: str = ""
    together: str = ""
    rarest: str = ""

    def read(self, role: str) -> bytes:
        """The bytes of a file; raises ``InvalidInput`` (damaged_entry) if the zip has been damaged since."""
        return self.files[role].read()

    @property
    def content(self) -> str:
        """Equal for inputs that a split keeps on one side.

        The text without regard to case, spaces and punctuation, or the file's content.
        """
        return self.together or self.alone

    @property
    def alone(self) -> str:
        """Equal for equal inputs, whatever else they share."""
        return self.fingerprint or fold("\n".join(text for role, text in self.values.items() if role not in _ANSWERS))

    @property
    def stratum(self) -> str:
        """What a split is stratified by: the label; of several, the one that is rarest in the data."""
        return self.values.get("label", self.rarest)
