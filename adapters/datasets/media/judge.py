"""What every kind of annotation has to answer while a data set is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from adapters.datasets.archives import ArchiveFile
from adapters.datasets.example import Example
from adapters.datasets.fold import fold_strictly
from adapters.datasets.media.layout import Candidate, Layout, Search
from adapters.datasets.media.survey import Fact, Survey
from adapters.datasets.problems import fault


class Clash(NamedTuple):
    """Examples of one file that cannot all be right, such as ``under`` "different labels"; ``labels`` may be shown."""

    code: str
    under: str
    fix: str
    labels: tuple[str, ...] = ()


class Judge(Protocol):
    """Takes files one by one, then all that are left; says what is wrong through the search it was made with."""

    def admit(self, candidate: Candidate) -> Example | None:
        """The example of a file that can be read, or None with the reason among the problems."""

    def clash(self, same: Sequence[Example]) -> Clash | None:
        """What examples with the same content contradict each other in; None if they do not."""

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

    def fact(self, candidate: Candidate) -> Fact:
        """What is known of the candidate's file."""
        return self.survey.fact(self.search.kind.role, candidate.file)

    def example(self, candidate: Candidate) -> Example:
        """The candidate with its file and the texts that were said of it."""
        files = {self.search.kind.role: ArchiveFile(self.path, candidate.file)}
        fingerprint = self.fact(candidate).fingerprint
        return Example(candidate.row, candidate.line, dict(candidate.values), files, fingerprint=fingerprint)

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise ``DatasetFault`` for more classes than the service takes."""
        if len(labels) > self.search.limits.labels:
            raise fault(
                "too_many_labels",
                f"The zip has {len(labels):,} classes; at most {self.search.limits.labels:,} are read.",
                "Merge rare classes, or send fewer of them.",
            )

    def note_classes(self, counts: Mapping[str, int], first: Mapping[str, str]) -> None:
        """Name classes with no example or one, and those spelt alike; ``first`` is a file of each that has any."""
        kind = self.search.kind
        spellings: dict[str, str] = {}
        for label, count in counts.items():
            name = f"'{label[:60]}'"
            if count == 0:
                message = f"The class {name} has no example that can be used; it is not learnt."
                self.search.note("warning", "empty_class", message, f"Add {kind.many} of it, or take its name away.")
            elif count == 1:
                message = (
                    f"The class {name} is in one {kind.one} only, {first[label]}: it can be trained, not measured."
                )
                fix = f"Add {kind.many} of this class, or merge it."
                self.search.note("warning", "rare_class", message, fix, file=first[label])
            earlier = spellings.setdefault(fold_strictly(label), label)
            if earlier != label:
                message = f"The classes '{earlier[:60]}' and {name} differ only in case or spaces; both are kept."
                self.search.note("warning", "similar_labels", message, "Name them alike if they mean one class.")
