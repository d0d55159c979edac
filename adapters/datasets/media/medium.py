"""All that makes data sets of one kind of file differ from those of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.datasets.example import Example
from adapters.datasets.media.judge import Case, Judge
from adapters.datasets.media.kind import Kind
from adapters.datasets.media.layout import Layout, Search
from adapters.datasets.media.survey import Fact, Look

Find = Callable[[Search], Layout | None]


@dataclass(frozen=True, slots=True)
class Medium:
    """``layouts``: what a zip may look like, the most particular first; ``judges``: by what the files carry.

    ``looks``: how a file is measured, by the role that it plays; ``figures``: the report's fields on all usable files;
    ``hint``: what a zip of no known layout seems to be, from how often suffixes occur among its other files;
    ``sheet``: a JPEG of some examples, given the classes in the order of the report.
    """

    kind: Kind
    layouts: tuple[Find, ...]
    judges: Mapping[str, Callable[[Case], Judge]]
    looks: Mapping[str, Look]
    figures: Callable[[Sequence[Fact]], dict[str, object]]
    hint: Callable[[Counter[str]], str]
    sheet: Callable[[Sequence[Example], Sequence[str]], bytes] | None = None
