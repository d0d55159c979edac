"""Reads a zip of one kind of file once and reports what is in it and what is wrong with it."""

from __future__ import annotations

from collections import Counter, defaultdict

from adapters.datasets.archives import shown, suffix_of
from adapters.datasets.example import Example
from adapters.datasets.media.judge import Case, Judge
from adapters.datasets.media.layout import Layout, Search
from adapters.datasets.media.medium import Medium
from adapters.datasets.media.survey import Fact, Progress, Survey, TooMuch
from adapters.datasets.problems import DatasetFault, Problem, fault
from adapters.datasets.report import Conflict, Duplicates, Report
from adapters.datasets.schema import Schema, media_schemas, mismatch, schema_of_layout
from zoo.errors import InvalidInput

INLINE_LIST_BYTES = 4 * 1024 * 1024  # as objects of Python a JSON takes up to twenty times as much
_SHOWN_CONFLICTS = 100
_SHOWN_FILES = 10


class Reading:
    """One pass over one zip; what is known when a fault ends it is still reported."""

    def __init__(self, medium: Medium, search: Search, asked: Schema | None, survey: Survey) -> None:
        self.survey = survey
        self.examples: list[Example] = []
        self._medium, self._search, self._asked = medium, search, asked
        self._kind = medium.kind
        self._schema: Schema | None = None
        self._layout: Layout | None = None
        self._judge: Judge | None = None
        self._facts: list[Fact] = []
        self._duplicates = Duplicates()
        self._conflicts: list[Conflict] = []
        self._conflicting = 0

    def run(self, bounded: bool, progress: Progress | None) -> None:
        """Find the layout, decode, judge; raises ``DatasetFault`` for what ends it."""
        search, tree, role = self._search, self._search.tree, self._kind.role
        if bounded and any(search.archive.entries[name].size > INLINE_LIST_BYTES for name in tree.others):
            raise TooMuch(self.survey)
        self._note_unread()
        self._layout = layout = self._find_layout()
        self._schema = schema = schema_of_layout(layout.name, role)
        if self._asked is not None and self._asked is not schema:
            raise mismatch(self._asked, f"{layout.holds} ({schema.task})")
        if search.chosen and not layout.columns:
            message = f"The file holds {layout.holds}: there are no columns to choose from."
            raise InvalidInput(message, code="unknown_column", param="columns")
        if len(layout.candidates) > search.limits.rows:
            message = f"More than {search.limits.rows:,} {self._kind.many}."
            raise fault("too_many_rows", message, f"Send fewer {self._kind.many}.")
        self._note_unlisted(layout)
        wanted = {
            role: [candidate.file for candidate in layout.candidates],
            "mask": [candidate.mask for candidate in layout.candidates if candidate.mask is not None],
        }
        self.survey.take(search.archive, wanted, self._medium.looks, bounded=bounded, progress=progress)
        assert schema.annotation is not None
        case = Case(search, layout, self.survey, search.archive.path)
        self._judge = judge = self._medium.judges[schema.annotation](case)
        self.examples = self._without_conflicts(judge, self._admitted(case, judge))
        if not self.examples:
            raise self._nothing_left(layout)
        self.examples = judge.settle(self.examples)

    def _find_layout(self) -> Layout:
        for find in self._medium.layouts:
            layout = find(self._search)
            if layout is not None:
                return layout
        tree, kind = self._search.tree, self._kind
        seen = self._medium.hint(Counter(suffix_of(name) for name in tree.others))
        raise fault(
            "unknown_layout",
            f"The zip holds {len(tree.media):,} {kind.many}, but nothing that says what they {kind.verb}.{seen}",
            "Send " + "; or ".join(f"for {schema.task} {schema.needs}" for schema in media_schemas(kind.role)) + ".",
        )

    def _admitted(self, case: Case, judge: Judge) -> list[Example]:
        examples = []
        for candidate in case.layout.candidates:
            fact = case.fact(candidate)
            if fact.fault is not None:
                code, said = fact.fault
                message = f"{shown(candidate.file)}: {said.rstrip('.')}; it is left out."
                fix = self._kind.repairs.get(code, self._kind.repair)
                self._search.note("error", code, message, fix, file=candidate.file, row=candidate.row)
                continue
            example = judge.admit(candidate)
            if example is not None:
                examples.append(example)
                self._facts.append(fact)
        return examples

    def _without_conflicts(self, judge: Judge, examples: list[Example]) -> list[Example]:
        """Files that stand in the zip more than once: kept if they are said to hold the same, else left out."""
        role, one, many = self._kind.role, self._kind.one, self._kind.many
        groups: dict[str, list[Example]] = defaultdict(list)
        for example in examples:
            groups[example.fingerprint].append(example)
        refused: set[int] = set()
        repeated = [group for group in groups.values() if len(group) > 1]
        for group in repeated:
            names = [example.files[role].name for example in group]
            listed = ", ".join(shown(name) for name in names[:_SHOWN_FILES])
            if clash := judge.clash(group):
                refused.update(id(example) for example in group)
                said = f"{listed}: the same {one} under {clash.under}; the {len(group)} rows are left out."
                self._search.note("error", clash.code, said, clash.fix, file=names[0], count=len(group))
                files, labels = tuple(names[:_SHOWN_FILES]), clash.labels[:_SHOWN_FILES]
                self._conflicts.append(Conflict(files=files, labels=labels))
            else:
                said = f"{listed}: the same {one}; all are kept, and never split apart."
                fix = "Delete them if they are there by mistake."
                self._search.note("warning", f"duplicate_{many}", said, fix, file=names[1], count=len(group) - 1)
        self._duplicates = Duplicates(groups=len(repeated), rows=sum(len(group) - 1 for group in repeated))
        self._conflicting = len(refused)
        return [example for example in examples if id(example) not in refused]

    def _nothing_left(self, layout: Layout) -> DatasetFault:
        rows = len(layout.candidates) + layout.unusable
        first = next((each for each in self._search.problems.stored if each.level == "error"), None)
        said = f" The first: {first.message}" if first else ""
        fix = first.fix if first else f"Send {self._schema.needs if self._schema else self._kind.many}."
        return fault("no_usable_rows", f"None of the {rows:,} {self._kind.many} can be used.{said}", fix)

    def _note_unread(self) -> None:
        archive, tree = self._search.archive, self._search.tree
        if archive.junk:
            message = f"{archive.junk:,} files that systems leave behind (.DS_Store, __MACOSX, …) are ignored."
            self._search.note("info", "ignored_files", message, "Nothing to do.", count=archive.junk)
        left_out = [name for name in tree.media if name in tree.left_out]
        if left_out:
            message = (
                f"{len(left_out):,} {self._kind.many} of the test part are not used; those of the other parts are."
            )
            fix = "Nothing to do; to measure on them upload them as a file of their own, for validation_file."
            self._search.note("info", "test_part_left_out", message, fix, count=len(left_out))

    def _note_unlisted(self, layout: Layout) -> None:
        tree = self._search.tree
        known = {candidate.file for candidate in layout.candidates} | tree.left_out
        known |= {candidate.mask for candidate in layout.candidates if candidate.mask is not None}
        if layout.lists:
            reported = {problem.file for problem in self._search.problems.stored}
            names = [name for name in tree.media if name not in known and name not in reported]
            said = f"the {self._kind.one} is in no list; it is not used" if layout.name != "masks" else "it is not used"
            self._search.note_files("warning", "not_listed", names, said, "Add it to the list, or delete it.")
        others = [name for name in tree.used(tree.others) if name not in layout.lists]
        if others:
            listed = ", ".join(shown(name) for name in others[:5]) + (", …" if len(others) > 5 else "")
            message = (
                f"{len(others):,} files are neither {self._kind.many} nor lists of them and are not used: {listed}."
            )
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
            duplicates=self._duplicates,
            conflicting_rows=self._conflicting,
            conflicts=tuple(self._conflicts[:_SHOWN_CONFLICTS]),
            problems=tuple(problems.stored),
            problem_counts={code: count for code, count in problems.counts.items() if count},
            fatal=fatal,
        )
        update = self._medium.figures(self._facts) if self._facts else {}
        return report.model_copy(update=update | (self._judge.figures() if self._judge else {}))
