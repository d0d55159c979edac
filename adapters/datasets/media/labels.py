"""One label for a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from adapters.datasets.example import Example
from adapters.datasets.media.judge import Case, Clash
from adapters.datasets.media.layout import Candidate
from adapters.datasets.problems import fault
from adapters.datasets.report import Balance, ClassCount


class LabelJudge:
    """Judges files that each have one label."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._labels: tuple[str, ...] = ()
        self._counts: Counter[str] = Counter()

    def admit(self, candidate: Candidate) -> Example | None:
        """Every candidate has a label by now."""
        return self._case.example(candidate)

    def clash(self, same: Sequence[Example]) -> Clash | None:
        """Two labels for the same content."""
        labels = sorted({example.values["label"] for example in same})
        if len(labels) < 2:
            return None
        return Clash(
            "conflicting_labels", "different labels", "Decide for one label and delete the others.", tuple(labels)
        )

    def settle(self, examples: list[Example]) -> list[Example]:
        """The examples as they are."""
        kind = self._case.search.kind
        self._counts = Counter(example.values["label"] for example in examples)
        self._labels = tuple(sorted(self._counts))
        self._case.check_labels(self._labels)
        declared = [label for label in self._case.layout.labels if label is not None]
        first = {example.values["label"]: example.files[kind.role].name for example in reversed(examples)}
        self._case.note_classes({label: self._counts[label] for label in sorted({*declared, *self._labels})}, first)
        if len(self._labels) < 2:
            name = f"'{self._labels[0][:60]}'" if self._labels else "none"
            raise fault(
                "one_label",
                f"All {len(examples):,} {kind.many} that can be used have the same label, {name}.",
                f"Send {kind.many} of at least two classes, each in a folder of its own or with its label in a list.",
            )
        return examples

    def figures(self) -> dict[str, object]:
        """Files of each class."""
        total = self._counts.total()
        order = sorted(self._counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return {
            "labels": self._labels,
            "balance": Balance.of(self._counts.values()),
            "classes": tuple(
                ClassCount(label=label, count=count, share=round(count / total, 6)) for label, count in order
            ),
        }
