"""Counts what the rows of a data file hold, in one pass and in bounded memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from statistics import median

from adapters.datasets.fingerprints import Fingerprints, Survey
from adapters.datasets.fold import fold_strictly
from adapters.datasets.formats import Row
from adapters.datasets.limits import Limits
from adapters.datasets.problems import Problem, Problems, fault
from adapters.datasets.report import Balance, ClassCount, Conflict, Lengths, Scores, Spans, Spread
from adapters.datasets.schema import Schema
from adapters.datasets.values import named, read_example, text_of

LONG_WORDS = 1000
_SHOWN_CONFLICTS = 100
_SHOWN_LINES = 20


class Tally:
    """Takes rows one by one with ``add``; ``close`` looks for what only the whole can show."""

    def __init__(self, schema: Schema, columns: Mapping[str, str], limits: Limits, problems: Problems) -> None:
        self.rows = 0
        self.survey = Survey()
        self._schema, self._columns, self._limits, self._problems = schema, columns, limits, problems
        self._label_ids: dict[str, int] = {}
        self._label_lines: list[int] = []
        self._counts: list[int] = []
        self._prints = Fingerprints()
        self._lines = array("I")
        self._labels = array("I")  # of each row the number of its set of labels
        self._sets: dict[tuple[int, ...], int] = {}
        self._scores = array("d")
        self._characters: Counter[int] = Counter()
        self._words: Counter[int] = Counter()
        self._answers: tuple[Counter[int], Counter[int]] = Counter(), Counter()
        self._watch = schema.watch() if schema.watch else None
        self._spans: Counter[int] = Counter()
        self._span_lengths: Counter[int] = Counter()
        self._first_bad: Problem | None = None

    def add(self, row: Row) -> None:
        """Raises ``DatasetFault`` for the row that passes the limit of rows or of different labels."""
        self.rows = row.number
        if row.number > self._limits.rows:
            message = f"{row.place}: more than {self._limits.rows:,} rows."
            raise fault(
                "too_many_rows", message, "Send fewer rows, or a sample of them.", line=row.line, row=row.number
            )
        example = read_example(row, self._schema, self._columns)
        if isinstance(example, Problem):
            self._first_bad = self._first_bad or example
            self._problems.add(example)
            return
        text = text_of(example, self._schema)
        labels = tuple(sorted(self._label(name, row) for name in named(example)))
        number = self._sets.setdefault(labels, len(self._sets))
        self._spans[len(example.spans)] += 1
        for span in example.spans:
            self._span_lengths[span.end - span.start] += 1
            if span.label:
                self._label(span.label, row)
        self._prints.add(text, number)
        self._lines.append(row.line)
        self._labels.append(number)
        if "score" in example.values:
            self._scores.append(float(example.values["score"]))
        self._characters[len(text)] += 1
        self._words[len(text.split())] += 1
        for role in self._schema.answers:
            self._answers[0][len(example.values[role.name])] += 1
            self._answers[1][len(example.values[role.name].split())] += 1
        if self._watch is not None:
            self._watch.add(example.values, row.line)

    def _label(self, name: str, row: Row) -> int:
        number = self._label_ids.get(name)
        if number is None:
            number = len(self._counts)
            if number >= self._limits.labels:
                raise fault(
                    "too_many_labels",
                    f"Line {row.line}: more than {self._limits.labels:,} different labels.",
                    "Merge rare labels; if this is not the column of the labels, choose it with columns.",
                    line=row.line,
                )
            self._label_ids[name] = number
            self._counts.append(0)
            self._label_lines.append(row.line)
        self._counts[number] += 1
        return number

    def close(self) -> None:
        """Look for duplicates, conflicts and rare classes; raises ``DatasetFault`` if nothing trainable is left."""
        if not self.rows:
            raise fault("no_rows", "The file has no rows of data.", "Send one row per example.", line=1)
        if not self._lines:
            first = self._first_bad
            assert first is not None
            raise fault(
                "no_usable_rows",
                f"None of the {self.rows:,} rows can be used. The first: {first.message}",
                first.fix,
                line=first.line,
            )
        self.survey = self._prints.survey()
        self._note_texts()
        for problem, count in self._watch.problems() if self._watch is not None else ():
            self._problems.add(problem, count=count)
        if self._labelled:
            self._note_conflicts()
            self._note_classes()
            self._check_labels()
        elif self._schema.read:
            self._note_classes()
            self._check_spans()
        if self._scores:
            self._check_scores()
        if self.survey.distinct == 1:
            raise fault(
                "one_text",
                f"Line {self._lines[0]}: this text is that of all {len(self._lines):,} usable rows.",
                "Check which column holds the text, or choose it with columns.",
                line=self._lines[0],
            )

    def _check_labels(self) -> None:
        if self.survey.distinct > 1 and not any(0 < count < self.usable_rows for count in self._counts):
            said = "rows left have fewer than two labels" if self.conflicting_rows else "usable rows have one label"
            raise fault(
                "one_label",
                f"Line {self._lines[0]}: all {self.usable_rows:,} {said}.",
                "Send rows of at least two classes; if this is not the column of the labels, choose it with columns.",
                line=self._lines[0],
            )

    def _check_spans(self) -> None:
        if not self._span_lengths:
            raise fault(
                "no_spans",
                f"Line {self._lines[0]}: none of the {self.usable_rows:,} usable rows has a span.",
                "Send rows in which there is something to find.",
                line=self._lines[0],
            )

    def _check_scores(self) -> None:
        if self.survey.distinct > 1 and min(self._scores) == max(self._scores):
            raise fault(
                "one_score",
                f"Line {self._lines[0]}: all {self.usable_rows:,} usable rows have the same score.",
                "Send rows with different scores; if this is not the column of the scores, choose it with columns.",
                line=self._lines[0],
            )

    def _note_texts(self) -> None:
        if repeated := self.survey.duplicate_rows:
            self._note(
                "warning",
                "duplicate_rows",
                f"{repeated:,} rows repeat the text of an earlier row; they are kept, and never split apart.",
                "Delete them if they are there by mistake.",
                count=repeated,
            )
        if long := sum(count for words, count in self._words.items() if words > LONG_WORDS):
            self._note(
                "info",
                "long_text",
                f"{long:,} texts have more than {LONG_WORDS:,} words; models read the first few hundred.",
                "Put what matters first, or split the texts.",
                count=long,
            )

    def _note_conflicts(self) -> None:
        sets = list(self._sets)
        for group in self.survey.conflicts:
            for index in group:
                for number in sets[self._labels[index]]:
                    self._counts[number] -= 1
            lines = ", ".join(str(self._lines[index]) for index in group[:_SHOWN_LINES])
            self._problems.add(
                Problem(
                    level="error",
                    code="conflicting_labels",
                    line=self._lines[group[0]],
                    message=f"Lines {lines}: the same text has different labels; the {len(group)} rows are left out.",
                    fix="Decide for one label and delete the other rows.",
                ),
                count=len(group),
            )

    def _note_classes(self) -> None:
        spellings: dict[str, int] = {}
        for name, number in self._label_ids.items():
            line = self._label_lines[number]
            if self._counts[number] == 1:
                message = f"Line {line}: a class with one example; it is used for training, never for evaluation."
                self._note("warning", "rare_class", message, "Add examples of this class, or merge it.", line=line)
            earlier = spellings.setdefault(fold_strictly(name), line)
            if earlier != line:
                message = f"Lines {earlier} and {line}: two labels that differ only in case or spaces; both are kept."
                self._note("warning", "similar_labels", message, "Write them alike if they mean one class.", line=line)

    def _note(self, level: str, code: str, message: str, fix: str, *, line: int | None = None, count: int = 1) -> None:
        found = {"level": level, "code": code, "message": message, "fix": fix, "line": line}
        self._problems.add(Problem.model_validate(found), count=count)

    @property
    def _labelled(self) -> bool:
        """Whether rows have labels: one, or any number of them."""
        return "label" in self._columns or "labels" in self._columns

    @property
    def conflicting_rows(self) -> int:
        """Rows whose text stands in the file under another label too."""
        return sum(map(len, self.survey.conflicts)) if self._labelled else 0

    @property
    def usable_rows(self) -> int:
        """Rows that training will see."""
        return len(self._lines) - self.conflicting_rows

    def conflicts(self) -> tuple[Conflict, ...]:
        """The first hundred groups of equal texts under different labels."""
        names = list(self._label_ids)
        written = [", ".join(names[number] for number in numbers) for numbers in self._sets]
        return tuple(
            Conflict(
                lines=tuple(self._lines[index] for index in group[:_SHOWN_LINES]),
                labels=tuple(sorted({written[self._labels[index]] for index in group})[:_SHOWN_LINES]),
            )
            for group in (self.survey.conflicts[:_SHOWN_CONFLICTS] if self._labelled else ())
        )

    def classes(self) -> tuple[ClassCount, ...]:
        """Labels with their usable rows, the largest first."""
        found = [(name, self._counts[number]) for name, number in self._label_ids.items() if self._counts[number]]
        total = self.usable_rows
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return tuple(ClassCount(label=name, count=count, share=round(count / total, 6)) for name, count in found)

    def labels(self) -> tuple[str, ...]:
        """Kinds of entities, or, where a row may have several, all labels, in the order of the alphabet; a category's
        labels follow from the rows."""
        if self._schema.read:
            return tuple(sorted(self._label_ids))
        return tuple(sorted(each.label for each in self.classes())) if "labels" in self._columns else ()

    def scores(self) -> Scores | None:
        """None without scores."""
        if not self._scores:
            return None
        ordered = sorted(self._scores)
        distinct = sum(one != other for one, other in pairwise(ordered)) + 1
        return Scores(min=ordered[0], median=median(ordered), max=ordered[-1], distinct=distinct)

    def balance(self) -> Balance | None:
        """None without classes."""
        return Balance.of(self._counts)

    def answer_lengths(self) -> Lengths | None:
        """None where nothing is to be written."""
        characters, words = self._answers
        return Lengths(characters=Spread.of(characters), words=Spread.of(words)) if characters else None

    def spans(self) -> Spans | None:
        """None for a task whose rows have none."""
        if self._schema.read is None:
            return None
        return Spans(
            count=self._span_lengths.total(),
            per_row=Spread.of(self._spans),
            characters=Spread.of(self._span_lengths),
            rows_without=self._spans[0],
        )

    def lengths(self) -> Lengths | None:
        """None without texts."""
        if not self._characters:
            return None
        return Lengths(characters=Spread.of(self._characters), words=Spread.of(self._words))
