"""A mask for a picture: the class of every pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from adapters.datasets.archives import ArchiveFile, shown
from adapters.datasets.example import Example
from adapters.datasets.media.judge import Case, Clash
from adapters.datasets.media.layout import Candidate
from adapters.datasets.pictures.fact import mask_fact, picture_fact
from adapters.datasets.pictures.masks import IGNORED_VALUE
from adapters.datasets.problems import fault
from adapters.datasets.report import Balance, ClassCount

_FIXES = {
    "unsupported_mask": "Save the mask as PNG.",
    "mask_channels": "Save it with one channel (mode L or P), the value of a pixel being the number of its class.",
    "mask_value": "Number the classes from 0 and name them in classes.json; 255 is for pixels to ignore.",
}


class MaskJudge:
    """Judges pictures with a mask each; only values whose class is to be learnt count."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._names = case.layout.labels
        self._pixels: Counter[int] = Counter()
        self._pictures: Counter[int] = Counter()
        self._values: dict[int, tuple[int, ...]] = {}
        self._ignored = 0

    def admit(self, candidate: Candidate) -> Example | None:
        """A mask has to be of the picture's size, with values that have names."""
        problem = self._fault(candidate)
        if problem is not None:
            file, code, said, fix = problem
            message = f"{shown(file)}: {said}; the picture is left out."
            self._case.search.note("error", code, message, fix, file=file, row=candidate.row)
            return None
        assert candidate.mask is not None
        self._values[candidate.row] = self._known(candidate.mask)
        example = self._case.example(candidate)
        return replace(example, files=example.files | {"mask": ArchiveFile(self._case.path, candidate.mask)})

    def clash(self, same: Sequence[Example]) -> Clash | None:
        """Two people draw two masks: nothing is refused for that."""
        return None

    def settle(self, examples: list[Example]) -> list[Example]:
        """The examples with the rarest class of each as its stratum."""
        first: dict[str, str] = {}
        learnt = {value: name for value, name in enumerate(self._names) if name is not None}
        for example in examples:
            counts = dict(mask_fact(self._case.survey, example.files["mask"].name).values)
            self._ignored += counts.get(IGNORED_VALUE, 0)
            for value in self._values[example.row]:
                self._pixels[value] += counts[value]
                self._pictures[value] += 1
                first.setdefault(learnt[value], example.files["mask"].name)
        self._case.check_labels([*learnt.values()])
        self._case.note_classes({name: self._pictures[value] for value, name in learnt.items()}, first)
        if len(self._pixels) < 2:
            binary = " A value of 255 is ignored: write 1 instead." if self._ignored else ""
            raise fault(
                "one_label",
                f"The masks of all {len(examples):,} pictures that can be used hold fewer than two classes.{binary}",
                "Number the classes 0, 1, … in the masks, the background too.",
            )
        return [replace(example, rarest=self._rarest(example)) for example in examples]

    def figures(self) -> dict[str, object]:
        """Pictures that show each class, and its share of the pixels that count."""
        total = max(1, self._pixels.total())
        order = sorted(self._pixels, key=lambda value: (-self._pixels[value], value))
        return {
            "labels": tuple(name or "" for name in self._names),
            "balance": Balance.of(self._pixels.values()),
            "classes": tuple(
                ClassCount(
                    label=self._names[value] or "",
                    count=self._pictures[value],
                    share=round(self._pixels[value] / total, 6),
                    pictures=self._pictures[value],
                )
                for value in order
            ),
        }

    def _rarest(self, example: Example) -> str:
        value = min(self._values[example.row], key=lambda value: (self._pictures[value], self._pixels[value], value))
        return self._names[value] or ""

    def _known(self, mask: str) -> tuple[int, ...]:
        """The values of a mask that are to be learnt."""
        values = mask_fact(self._case.survey, mask).values
        return tuple(value for value, _ in values if value != IGNORED_VALUE and self._names[value] is not None)

    def _fault(self, candidate: Candidate) -> tuple[str, str, str, str] | None:
        """The file at fault, a code, what is wrong and how to mend it."""
        name, fact = candidate.mask, picture_fact(self._case.survey, candidate.file)
        if name is None:
            fix = "Add masks/… under the picture's name, as PNG."
            return candidate.file, "mask_missing", "the picture has no mask", fix
        mask = mask_fact(self._case.survey, name)
        if mask.fault is not None:
            code, said = mask.fault
            return name, code, said, _FIXES.get(code, "Save it again as PNG.")
        if (mask.width, mask.height) != (fact.width, fact.height):
            said = f"the mask has {mask.width} x {mask.height} pixels, its picture {fact.width} x {fact.height}"
            return name, "mask_size", said, "Save the mask in the size of the upright picture."
        counts = {value: count for value, count in mask.values if IGNORED_VALUE > value >= len(self._names)}
        if counts:
            listed = ", ".join(map(str, [*counts][:5])) + (", …" if len(counts) > 5 else "")
            said = f"{sum(counts.values()):,} pixels have the value {listed}, which has no name"
            return name, "mask_value", said, _FIXES["mask_value"]
        if not self._known(name):
            said = "all pixels of the mask are to be ignored"
            return name, "mask_empty", said, "Draw at least one class, or delete the picture."
        return None
