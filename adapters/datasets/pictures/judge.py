"""What every kind of annotation has to answer while a data set of pictures is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.datasets.archives import ArchiveFile
from adapters.datasets.example import Example
from adapters.datasets.fold import fold_strictly
from adapters.datasets.pictures.layout import Candidate, Layout, Search
from adapters.datasets.pictures.survey import Fact, Survey
from adapters.datasets.problems import fault


class Judge(Protocol):
    """Takes pictures one by one, then all that are left; says what is wrong through the search it was made with."""

    def admit(self, candidate: Candidate, fact: Fact) -> Example | None:
        """The example, or None with the reason among the problems."""

    def clash(self, same: Sequence[Example]) -> tuple[str, ...]:
        """The labels, if examples of one picture cannot all be right; empty if they can."""

    def settle(self, examples: list[Example]) -> list[Example]:
        """The examples with their strata; raises ``DatasetFault`` if nothing can be learnt from them."""

    def figures(self) -> dict[str, object]:
        """Fields of the report: labels, classes, balance and what else the kind counts."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a judge works on."""

    search: Search
    layout: Layout
    survey: Survey
    path: Path

    def example(self, candidate: Candidate, fact: Fact, **values: str) -> Example:
        """The candidate with its picture, and nothing that was said of it but ``values``."""
        files = {"image": ArchiveFile(self.path, candidate.image)}
        return Example(candidate.row, candidate.line, dict(values), files, fingerprint=fact.fingerprint)

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise ``DatasetFault`` for more classes than the service takes."""
        if len(labels) > self.search.limits.labels:
            raise fault(
                "too_many_labels",
                f"The zip has {len(labels):,} classes; at most {self.search.limits.labels:,} are read.",
                "Merge rare classes, or send fewer of them.",
            )

    def note_classes(self, pictures: Mapping[str, int], first: Mapping[str, str]) -> None:
        """Name classes with no example or one, and those spelt alike; ``first`` is a picture of each that has any."""
        spellings: dict[str, str] = {}
        for label, count in pictures.items():
            name = f"'{label[:60]}'"
            if count == 0:
                message = f"The class {name} has no example that can be used; it is not learnt."
                self.search.note("warning", "empty_class", message, "Add pictures of it, or take its name away.")
            elif count == 1:
                message = f"The class {name} is in one picture only, {first[label]}: it can be trained, not measured."
                self.search.note(
                    "warning", "rare_class", message, "Add pictures of this class, or merge it.", file=first[label]
                )
            earlier = spellings.setdefault(fold_strictly(label), label)
            if earlier != label:
                message = f"The classes '{earlier[:60]}' and {name} differ only in case or spaces; both are kept."
                self.search.note("warning", "similar_labels", message, "Name them alike if they mean one class.")
