"""The user's rows by what they are for: to train on, to choose the best state by, and held out to measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from adapters.datasets import Example, FileStore, Report, Split, split
from adapters.jobs import JobSpec
from zoo.errors import InvalidDataset, InvalidInput

# Rows that are chosen by or measured on cannot be learnt from: no larger part than its purpose needs.
CHOOSING_ROWS, MEASURING_ROWS = 100, 200
SHARES = (0.03, 0.06), (0.1, 0.15)  # (to choose by, held out): least and largest share of each class


@dataclass(frozen=True)
class Parts:
    """Usable rows of a data file; no example of one part stands in another, but for those of a validation file.

    ``separate``: the held-out rows are those of a validation file. ``sha256`` is the training file's.
    """

    train: Sequence[Example]
    validation: Sequence[Example]
    heldout: Sequence[Example]
    report: Report
    sha256: str
    separate: bool = False

    @property
    def all(self) -> Sequence[Example]:
        """Every row: training, validation, held out."""
        return (*self.train, *self.validation, *self.heldout)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """A held-out row that turns out to be unfit is one of the validation file, if that was sent."""
        try:
            yield
        except InvalidDataset as error:
            if self.separate:
                error.param = "validation_file"
            raise

    @property
    def untrained(self) -> Sequence[Example]:
        """Rows of the training file that are not trained on: what chooses, and what measures unless it was sent."""
        return self.validation if self.separate else (*self.validation, *self.heldout)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, if any, in the order of the data set, else of the alphabet: equal data give equal models."""
        return self.report.labels or tuple(sorted({example.stratum for example in self.all} - {""}))

    def counts(self) -> dict[str, int]:
        """Rows in the file, rows used, and rows of each part."""
        return {
            "rows": self.report.rows,
            "usable": self.report.usable_rows,
            "train": len(self.train),
            "validation": len(self.validation),
            "heldout": len(self.heldout),
        }


def divide(spec: JobSpec, files: FileStore) -> Parts:
    """The rows of the job's training file; a validation file takes the place of the held-out rows.

    Raises ``InvalidDataset`` for a file that cannot be trained on, ``InvalidInput`` for one with too few rows.
    """
    if spec.training_file is None:
        raise InvalidInput("The job names no training file.", param="training_file")
    examples, report = _examples(spec, files, spec.training_file, spec.task)
    separate = _examples(spec, files, spec.validation_file, report.task)[0] if spec.validation_file else None
    choose, measure = shares(len(examples))
    parts = choose, 0.0 if separate else measure
    divided = _split(examples, [example.content for example in examples], spec.seed, parts)
    if not divided.validation or not (divided.heldout or separate):  # all questions are about one or two texts
        divided = _split(examples, [example.alone for example in examples], spec.seed, parts)
    heldout = [examples[at] for at in divided.heldout]
    if separate is not None:
        known = {label for example in examples for label in _named(example)}
        heldout = [example for example in separate if _named(example) <= known]
    if not heldout or not divided.validation:
        message = "There are too few rows to hold any out: send at least three different examples of a label."
        raise InvalidInput(message, code="invalid_dataset", param="training_file")
    return Parts(
        train=[examples[at] for at in divided.train],
        validation=[examples[at] for at in divided.validation],
        heldout=heldout,
        report=report,
        sha256=files.get(spec.training_file).sha256,
        separate=separate is not None,
    )


def _split(examples: Sequence[Example], contents: Sequence[str], seed: int, parts: tuple[float, float]) -> Split:
    return split([example.stratum for example in examples], contents, seed=seed, shares=parts)


def shares(rows: int) -> tuple[float, float]:
    """Shares of the rows to choose by and of those held out: larger where there are few rows."""
    wanted = CHOOSING_ROWS / max(1, rows), MEASURING_ROWS / max(1, rows)
    (least_choose, least_measure), (most_choose, most_measure) = SHARES
    return min(max(wanted[0], least_choose), most_choose), min(max(wanted[1], least_measure), most_measure)


def _named(example: Example) -> set[str]:
    """The labels that an example carries by name; none where the classes are numbers in a mask."""
    named = {box.label for box in example.boxes} | {span.label for span in example.spans if span.label}
    named |= set(example.labels or ())
    return named | ({example.values["label"]} if "label" in example.values else set())


def _examples(spec: JobSpec, files: FileStore, file_id: str, task: str | None) -> tuple[list[Example], Report]:
    report = files.revalidate(file_id, task=task, columns=spec.columns or None)
    report.raise_if_fatal()
    return list(files.examples(file_id, report)), report
