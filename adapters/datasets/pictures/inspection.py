"""Reads a zip of pictures once and reports what is in it and what is wrong with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from adapters.datasets.archives import Archive, shown, suffix_of
from adapters.datasets.example import Example
from adapters.datasets.limits import Limits
from adapters.datasets.pictures import coco, folders, masked, metadata
from adapters.datasets.pictures.boxes import BoxJudge
from adapters.datasets.pictures.judge import Case, Judge
from adapters.datasets.pictures.labels import LabelJudge
from adapters.datasets.pictures.layout import Layout, Search
from adapters.datasets.pictures.pixels import MaskJudge
from adapters.datasets.pictures.survey import Fact, Progress, Survey, TooMuch
from adapters.datasets.pictures.tree import Tree
from adapters.datasets.problems import DatasetFault, Problem, Problems, fault
from adapters.datasets.report import Conflict, Duplicates, Pictures, Report, Spread
from adapters.datasets.schema import Schema, mismatch, picture_schemas, schema_for, schema_of_layout
from zoo.errors import InvalidInput, Unsupported

# the most particular first: pictures with masks or boxes lie in folders, too
LAYOUTS: tuple[Callable[[Search], Layout | None], ...] = (masked.find, coco.find, metadata.find, folders.find)
JUDGES: dict[str, Callable[[Case], Judge]] = {"label": LabelJudge, "boxes": BoxJudge, "mask": MaskJudge}
INLINE_LIST_BYTES = 4 * 1024 * 1024  # as objects of Python a JSON takes up to twenty times as much
_SHOWN_CONFLICTS = 100
_SHOWN_FILES = 10
_SOUNDS = frozenset({"wav", "mp3", "flac", "ogg", "m4a"})
_TABLES = frozenset({"csv", "tsv", "jsonl", "parquet", "txt"})


class Inspected(NamedTuple):
    """``examples`` are the usable ones, none if the report is fatal."""

    report: Report
    examples: list[Example]
    survey: Survey


class Asked(NamedTuple):
    """What the caller wants of a zip: ``task`` None for the one that its layout is for; ``file`` is the upload's id."""

    task: str | None = None
    columns: Mapping[str, str] = MappingProxyType({})
    file: str = ""


def inspect_pictures(
    path: Path,
    asked: Asked | None = None,
    *,
    limits: Limits,
    survey: Survey | None = None,
    bounded: bool = False,
    progress: Progress | None = None,
) -> Inspected:
    """The report on a zip; what makes it untrainable is in ``fatal``.

    ``survey`` is what is known of the pictures; it is completed. Raises ``TooLarge``, ``InvalidInput`` or
    ``Unsupported`` for a zip that is not read at all, ``InvalidInput`` for an unknown task or column, and ``TooMuch``
    if ``bounded`` and there is more to decode than a request may take.
    """
    task, columns, file = asked or Asked()
    schema = schema_for(task) if task is not None else None
    with Archive(path) as archive:
        search = Search(archive, Tree(archive), limits, Problems(), columns)
        reading = _Reading(search, schema, survey if survey is not None else Survey())
        try:
            reading.run(bounded, progress)
        except DatasetFault as found:
            return Inspected(reading.report(file, found.problem), [], reading.survey)
        return Inspected(reading.report(file, None), reading.examples, reading.survey)


def read_pictures(path: Path, report: Report, survey: Survey | None = None) -> Iterator[Example]:
    """The examples that the report calls usable, in the report's order; pictures are decoded unless surveyed before."""
    limits = Limits(rows=2**31, row_bytes=2**26, labels=2**31)
    yield from inspect_pictures(path, Asked(report.task, report.columns), limits=limits, survey=survey).examples


class _Reading:
    """One pass over one zip; what is known when a fault ends it is still reported."""

    def __init__(self, search: Search, asked: Schema | None, survey: Survey) -> None:
        self.survey = survey
        self.examples: list[Example] = []
        self._search, self._asked = search, asked
        self._schema: Schema | None = None
        self._layout: Layout | None = None
        self._judge: Judge | None = None
        self._facts: list[Fact] = []
        self._duplicates = Duplicates()
        self._conflicts: list[Conflict] = []
        self._conflicting = 0

    def run(self, bounded: bool, progress: Progress | None) -> None:
        """Find the layout, decode, judge; raises ``DatasetFault`` for what ends it."""
        search, tree = self._search, self._search.tree
        if not tree.pictures:
            raise _no_pictures(tree)
        if bounded and any(search.archive.entries[name].size > INLINE_LIST_BYTES for name in tree.others):
            raise TooMuch(self.survey)
        self._note_unread()
        self._layout = layout = _layout(search)
        self._schema = schema = schema_of_layout(layout.name)
        if self._asked is not None and self._asked is not schema:
            raise mismatch(self._asked, f"{layout.holds} ({schema.task})")
        if search.chosen and not layout.columns:
            message = f"The file holds {layout.holds}: there are no columns to choose from."
            raise InvalidInput(message, code="unknown_column", param="columns")
        if len(layout.candidates) > search.limits.rows:
            message = f"More than {search.limits.rows:,} pictures."
            raise fault("too_many_rows", message, "Send fewer pictures.")
        self._note_unlisted(layout)
        self.survey.take(
            search.archive,
            (candidate.image for candidate in layout.candidates),
            (candidate.mask for candidate in layout.candidates if candidate.mask is not None),
            bounded=bounded,
            progress=progress,
        )
        assert schema.annotation is not None
        self._judge = judge = JUDGES[schema.annotation](Case(search, layout, self.survey, search.archive.path))
        self.examples = self._without_conflicts(judge, self._admitted(judge, layout))
        if not self.examples:
            raise self._nothing_left(layout)
        self.examples = judge.settle(self.examples)

    def _admitted(self, judge: Judge, layout: Layout) -> list[Example]:
        examples = []
        for candidate in layout.candidates:
            fact = self.survey.picture(candidate.image)
            if fact.fault is not None:
                code, said = fact.fault
                message = f"{shown(candidate.image)}: {said.rstrip('.')}; it is left out."
                fix = "Save the picture again as JPEG or PNG, or delete it."
                self._search.note("error", code, message, fix, file=candidate.image, row=candidate.row)
                continue
            example = judge.admit(candidate, fact)
            if example is not None:
                examples.append(example)
                self._facts.append(fact)
        return examples

    def _without_conflicts(self, judge: Judge, examples: list[Example]) -> list[Example]:
        """Pictures that stand in the zip more than once: kept if they are said to show the same, else left out."""
        groups: dict[str, list[Example]] = defaultdict(list)
        for example in examples:
            groups[example.fingerprint].append(example)
        refused: set[int] = set()
        repeated = [group for group in groups.values() if len(group) > 1]
        for group in repeated:
            names = [example.files["image"].name for example in group]
            listed = ", ".join(shown(name) for name in names[:_SHOWN_FILES])
            if labels := judge.clash(group):
                refused.update(id(example) for example in group)
                said = f"{listed}: the same picture under different labels; the {len(group)} rows are left out."
                fix = "Decide for one label and delete the others."
                self._search.note("error", "conflicting_labels", said, fix, file=names[0], count=len(group))
                self._conflicts.append(Conflict(files=tuple(names[:_SHOWN_FILES]), labels=labels[:_SHOWN_FILES]))
            else:
                said = f"{listed}: the same picture; all are kept, and never split apart."
                fix = "Delete them if they are there by mistake."
                self._search.note("warning", "duplicate_pictures", said, fix, file=names[1], count=len(group) - 1)
        self._duplicates = Duplicates(groups=len(repeated), rows=sum(len(group) - 1 for group in repeated))
        self._conflicting = len(refused)
        return [example for example in examples if id(example) not in refused]

    def _nothing_left(self, layout: Layout) -> DatasetFault:
        rows = len(layout.candidates) + layout.unusable
        first = next((each for each in self._search.problems.stored if each.level == "error"), None)
        said = f" The first: {first.message}" if first else ""
        fix = first.fix if first else f"Send {self._schema.needs if self._schema else 'pictures'}."
        return fault("no_usable_rows", f"None of the {rows:,} pictures can be used.{said}", fix)

    def _note_unread(self) -> None:
        archive, tree = self._search.archive, self._search.tree
        if archive.junk:
            message = f"{archive.junk:,} files that systems leave behind (.DS_Store, __MACOSX, …) are ignored."
            self._search.note("info", "ignored_files", message, "Nothing to do.", count=archive.junk)
        left_out = [name for name in tree.pictures if name in tree.left_out]
        if left_out:
            message = f"{len(left_out):,} pictures of the test part are not used; those of the other parts are."
            fix = "Nothing to do; to measure on them upload them as a file of their own, for validation_file."
            self._search.note("info", "test_part_left_out", message, fix, count=len(left_out))

    def _note_unlisted(self, layout: Layout) -> None:
        tree = self._search.tree
        known = {candidate.image for candidate in layout.candidates} | tree.left_out
        known |= {candidate.mask for candidate in layout.candidates if candidate.mask is not None}
        if layout.lists:
            reported = {problem.file for problem in self._search.problems.stored}
            names = [name for name in tree.pictures if name not in known and name not in reported]
            said = "the picture is in no list; it is not used" if layout.name != "masks" else "it is not used"
            self._search.note_files("warning", "not_listed", names, said, "Add it to the list, or delete it.")
        others = [name for name in tree.used(tree.others) if name not in layout.lists]
        if others:
            listed = ", ".join(shown(name) for name in others[:5]) + (", …" if len(others) > 5 else "")
            message = f"{len(others):,} files are neither pictures nor lists of them and are not used: {listed}."
            self._search.note("info", "other_files", message, "Nothing to do.", count=len(others))

    def report(self, file: str, fatal: Problem | None) -> Report:
        """What is known by now."""
        layout, problems = self._layout, self._search.problems
        if fatal is not None:
            problems.add(fatal)
        report = Report(
            file=file,
            format="zip",
            layout=layout.name if layout else None,
            task=next((schema.task for schema in (self._schema, self._asked) if schema), ""),
            columns=layout.columns if layout else {},
            ignored_columns=layout.ignored_columns if layout else (),
            rows=len(layout.candidates) + layout.unusable if layout else 0,
            usable_rows=len(self.examples),
            pictures=_pictures(self._facts),
            duplicates=self._duplicates,
            conflicting_rows=self._conflicting,
            conflicts=tuple(self._conflicts[:_SHOWN_CONFLICTS]),
            problems=tuple(problems.stored),
            problem_counts={code: count for code, count in problems.counts.items() if count},
            fatal=fatal,
        )
        return report.model_copy(update=self._judge.figures()) if self._judge else report


def _layout(search: Search) -> Layout:
    for find in LAYOUTS:
        layout = find(search)
        if layout is not None:
            return layout
    kinds = Counter(suffix_of(name) for name in search.tree.others)
    common = kinds.most_common(1)[0][0] if kinds else ""
    seen = {
        "xml": " Its XML files look like Pascal VOC: convert them to one COCO JSON.",
        "txt": " Its text files look like those of YOLO: convert them to one COCO JSON.",
        "json": " It has a JSON for each picture: convert them to one COCO JSON.",
        "csv": " It has a CSV: name it metadata.csv and give it the columns file_name and label.",
    }.get(common, "")
    raise fault(
        "unknown_layout",
        f"The zip holds {len(search.tree.pictures):,} pictures, but nothing that says what they show.{seen}",
        "Send " + "; or ".join(f"for {schema.task} {schema.needs}" for schema in picture_schemas()) + ".",
    )


def _no_pictures(tree: Tree) -> Unsupported:
    kinds = {suffix_of(name) for name in tree.others}
    what = "no pictures"
    if kinds & _SOUNDS:
        what = "sounds, which are not read yet"
    elif kinds & _TABLES:
        what = "no pictures but tables: unpack it and send the table itself"
    return Unsupported(f"The zip holds {what}. Send CSV, JSONL, Parquet, or a zip of pictures.", param="file")


def _pictures(facts: list[Fact]) -> Pictures | None:
    if not facts:
        return None
    return Pictures(
        count=len(facts),
        bytes=sum(fact.bytes for fact in facts),
        widths=Spread.of(Counter(fact.width for fact in facts)),
        heights=Spread.of(Counter(fact.height for fact in facts)),
        formats=dict(Counter(fact.format for fact in facts).most_common()),
    )
