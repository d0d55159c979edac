"""Boxes in a picture, each with its class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from adapters.datasets.archives import shown
from adapters.datasets.example import Box, Example
from adapters.datasets.media.judge import Case, Clash
from adapters.datasets.media.layout import Candidate, RawBox
from adapters.datasets.pictures.fact import PictureFact, picture_fact
from adapters.datasets.problems import fault
from adapters.datasets.report import Balance, Boxes, ClassCount, Spread

TOLERANCE = 1.0  # pixels that a box may lie outside: rounding while pictures are scaled puts it there
_MAX_NAMES = 5


class BoxJudge:
    """Judges pictures with any number of boxes; none makes a picture an example of the background."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._boxes: Counter[str] = Counter()
        self._pictures: Counter[str] = Counter()
        self._labels: tuple[str, ...] = ()
        self._figures: Boxes | None = None

    def admit(self, candidate: Candidate) -> Example | None:
        """A box that is wrong makes the picture useless: what it shows would be learnt as background.

        Only boxes without area are left out alone.
        """
        fact = picture_fact(self._case.survey, candidate.file)
        if candidate.size is not None and candidate.size != (fact.width, fact.height):
            said = "{} x {} pixels by the list, {} x {} in truth".format(*candidate.size, fact.width, fact.height)
            if candidate.size == (fact.height, fact.width):
                said += " (turned upright as its EXIF says)"
            self._reject(
                candidate, "size_mismatch", said, "Boxes have to be in pixels of the upright picture as it is."
            )
            return None
        boxes = []
        for raw in candidate.boxes:
            problem = self._fault(raw, fact)
            if problem is not None:
                self._reject(candidate, problem[0], f"{raw.place}: {problem[1]}", problem[2])
                return None
            box = _clipped(raw, fact)
            if box is None:
                message = f"{shown(candidate.file)}: {raw.place}: a box without area; it is left out."
                fix = "Give it a width and a height, or delete it."
                self._case.search.note("warning", "box_without_area", message, fix, file=candidate.file)
            else:
                boxes.append(box)
        return replace(self._case.example(candidate), boxes=tuple(boxes))

    def clash(self, same: Sequence[Example]) -> Clash | None:
        """Boxes may be drawn twice in slightly different places: nothing is refused for that."""
        return None

    def settle(self, examples: list[Example]) -> list[Example]:
        """The examples with the rarest class of each as its stratum."""
        first: dict[str, str] = {}
        for example in examples:
            self._boxes.update(box.label for box in example.boxes)
            for label in {box.label for box in example.boxes}:
                self._pictures[label] += 1
                first.setdefault(label, example.files["image"].name)
        declared = [label for label in self._case.layout.labels if label is not None]
        order = [*declared, *sorted(self._boxes.keys() - set(declared))]
        self._labels = tuple(label for label in order if self._boxes[label])
        self._case.check_labels(self._labels)
        self._case.note_classes({label: self._pictures[label] for label in order}, first)
        if not self._labels:
            raise fault(
                "no_boxes",
                f"None of the {len(examples):,} pictures that can be used has a box.",
                "Send pictures with at least one box of at least one class.",
            )
        empty = [shown(example.files["image"].name) for example in examples if not example.boxes]
        if empty:
            listed = ", ".join(empty[:_MAX_NAMES]) + (", …" if len(empty) > _MAX_NAMES else "")
            message = f"{len(empty):,} pictures have no box and count as examples of the background: {listed}."
            self._case.search.note("info", "picture_without_boxes", message, "Nothing to do.", count=len(empty))
        every = [box for example in examples for box in example.boxes]
        self._figures = Boxes(
            count=len(every),
            per_picture=Spread.of(Counter(len(example.boxes) for example in examples)),
            widths=Spread.of(Counter(round(box.width) for box in every)),
            heights=Spread.of(Counter(round(box.height) for box in every)),
        )
        return [replace(example, rarest=self._rarest(example)) for example in examples]

    def figures(self) -> dict[str, object]:
        """Boxes and pictures of each class, sizes of boxes."""
        total = max(1, self._boxes.total())
        order = sorted(self._labels, key=lambda label: (-self._boxes[label], label))
        return {
            "labels": self._labels,
            "balance": Balance.of(self._boxes.values()),
            "boxes": self._figures,
            "classes": tuple(
                ClassCount(
                    label=label,
                    count=self._boxes[label],
                    share=round(self._boxes[label] / total, 6),
                    pictures=self._pictures[label],
                )
                for label in order
            ),
        }

    def _rarest(self, example: Example) -> str:
        return min({box.label for box in example.boxes}, key=lambda label: (self._pictures[label], label), default="")

    def _reject(self, candidate: Candidate, code: str, said: str, fix: str) -> None:
        message = f"{shown(candidate.file)}: {said}; the picture is left out."
        self._case.search.note("error", code, message, fix, file=candidate.file, row=candidate.row)

    def _fault(self, raw: RawBox, fact: PictureFact) -> tuple[str, str, str] | None:
        if raw.values is None:
            return "invalid_box", "bbox is not four finite numbers", "Write x, y, width and height in pixels."
        if raw.label is None:
            return "unknown_category", "its class has no name", "Name its class, in COCO among categories."
        x, y, width, height = raw.values
        if width <= 0 or height <= 0:
            return None
        if min(x, y) < -TOLERANCE or x + width > fact.width + TOLERANCE or y + height > fact.height + TOLERANCE:
            said = "the box ({:g}, {:g}, {:g}, {:g}) reaches outside its picture of {} x {} pixels"
            said = said.format(*(round(value, 1) for value in raw.values), fact.width, fact.height)
            return "box_outside", said, "Write x, y, width and height in pixels from the top left corner."
        return None


def _clipped(raw: RawBox, fact: PictureFact) -> Box | None:
    """The part inside the picture; None without area."""
    assert raw.values is not None and raw.label is not None
    x, y, width, height = raw.values
    left, top = max(0.0, x), max(0.0, y)
    right, bottom = min(float(fact.width), x + width), min(float(fact.height), y + height)
    if width <= 0 or height <= 0 or right <= left or bottom <= top:
        return None
    if left == x and top == y and right == x + width and bottom == y + height:
        return Box(raw.label, x, y, width, height)
    return Box(raw.label, left, top, right - left, bottom - top)
