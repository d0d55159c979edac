"""Reads a data file once, from end to end, and reports what is in it and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

from adapters.datasets.columns import check_choice, find_columns, looks_like_header
from adapters.datasets.formats import Row, Source, open_rows, sniff_file
from adapters.datasets.limits import Limits
from adapters.datasets.problems import DatasetFault, Problem, Problems, fault
from adapters.datasets.report import Duplicates, Report
from adapters.datasets.schema import Schema, mismatch, schema_for, schema_of_table
from adapters.datasets.surrogates import has_surrogate
from adapters.datasets.tally import Tally
from adapters.datasets.zips import Asked, inspect_zip

TABLE_TASK = "text-classification"  # what a table is for unless a task is named or its rows tell another
SAMPLE_ROWS = 500  # held in memory to find the columns


def inspect_file(
    path: Path, *, limits: Limits, task: str | None = None, columns: Mapping[str, str] | None = None, file: str = ""
) -> Report:
    """The report on a CSV or JSONL file or a zip; what makes it untrainable is in ``fatal``, not raised.

    ``task`` None: what the file is for by its content. ``columns`` (role -> column) wins over detection. Raises
    ``InvalidInput`` for an unknown task, role or column, ``Unsupported`` for a file of another kind, and what
    ``inspect_zip`` raises for a zip.
    """
    if sniff_file(path) == "zip":
        return inspect_zip(path, Asked(task, columns or {}, file), limits=limits).report
    schema = schema_for(task or TABLE_TASK)
    if not schema.layouts and task is not None:
        check_choice(schema, columns or {})
    reading = _Reading(schema, limits, columns or {}, asked=task is not None)
    try:
        reading.run(path)
    except DatasetFault as found:
        return reading.report(file, found.problem)
    return reading.report(file, None)


def fatal_report(problem: Problem, *, file: str, format: str, task: str | None = None) -> Report:
    """The report on a table that cannot even be opened."""
    counts = {problem.code: 1}
    task = task or TABLE_TASK
    return Report(file=file, format=format, task=task, problems=(problem,), problem_counts=counts, fatal=problem)


class _Reading:
    """One pass over one file; what is known when a fault ends it is still reported."""

    def __init__(self, schema: Schema, limits: Limits, chosen: Mapping[str, str], *, asked: bool) -> None:
        """``asked``: the schema is that of a named task, not one that the rows may tell."""
        self._schema = schema
        self._asked = asked
        self._limits = limits
        self._chosen = chosen
        self._problems = Problems()
        self._source: Source | None = None
        self._columns: dict[str, str] = {}
        self._names: dict[str, None] = {}
        self._tally: Tally | None = None

    def run(self, path: Path) -> None:
        self._source = source = open_rows(path, self._limits)
        if self._schema.layouts:
            raise mismatch(self._schema, "a table")
        if source.encoding.startswith("utf-16"):
            message = "The file is UTF-16 by its byte order mark and is read as such."
            self._problems.add(Problem(level="info", code="utf_16", message=message, fix="Nothing to do."))
        rows = self._with_names(source.rows) if source.header is None else source.rows
        sample = list(islice(rows, SAMPLE_ROWS))
        if not self._asked:
            told = schema_of_table(sample, TABLE_TASK)
            if self._chosen.keys() <= {role.name for role in told.roles}:
                self._schema = told
        self._find_columns(source, sample)
        self._tally = tally = Tally(self._schema, self._columns, self._limits, self._problems)
        for row in chain(sample, rows):
            tally.add(row)
        tally.close()

    def _with_names(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Collect the column names of a file without a header."""
        for row in rows:
            self._names.update(
                (name, None) for name in row.values if name not in self._names and not has_surrogate(name)
            )
            if len(self._names) > self._limits.columns:
                message = f"Line {row.line}: more than {self._limits.columns:,} different keys so far."
                fix = "Use the same keys in every line, and only those that are needed."
                raise fault("too_many_columns", message, fix, line=row.line)
            yield row

    def _find_columns(self, source: Source, sample: list[Row]) -> None:
        if source.header is not None:
            self._names = dict.fromkeys(source.header)
            if not self._chosen and not looks_like_header(source.header, sample, self._schema):
                roles = (source.delimiter or ",").join(role.name for role in self._schema.roles)
                raise fault(
                    "header_missing",
                    "Line 1: it looks like data, not like the names of columns.",
                    f"Add a first line that names the columns, such as: {roles}",
                    line=1,
                )
        if not sample:
            raise fault("no_rows", "The file has no rows of data.", "Send one row per example.", line=1)
        self._columns = find_columns(self._schema, list(self._names), sample, self._chosen)

    def report(self, file: str, fatal: Problem | None) -> Report:
        source, tally = self._source, self._tally
        used = {*self._columns.values(), *self._schema.beside}
        ignored = tuple(name[:80] for name in self._names if name not in used) if tally else ()
        if ignored:
            message = f"{len(ignored):,} columns are not used for this task."
            fix = "Nothing to do; to use another column choose it with columns."
            self._problems.add(Problem(level="info", code="ignored_columns", message=message, fix=fix))
        if fatal is not None:
            self._problems.add(fatal)
        report = Report(
            file=file,
            format=source.format if source else "",
            encoding=source.encoding if source else "",
            delimiter=source.delimiter if source else None,
            task=self._schema.task,
            columns=self._columns,
            ignored_columns=ignored,
            problems=tuple(self._problems.stored),
            problem_counts=dict(self._problems.counts),
            fatal=fatal,
        )
        return report.model_copy(update=_counted(tally)) if tally else report


def _counted(tally: Tally) -> dict[str, object]:
    return {
        "rows": tally.rows,
        "usable_rows": tally.usable_rows,
        "classes": tally.classes(),
        "labels": tally.labels(),
        "spans": tally.spans(),
        "scores": tally.scores(),
        "balance": tally.balance(),
        "lengths": tally.lengths(),
        "answer_lengths": tally.answer_lengths(),
        "duplicates": Duplicates(groups=tally.survey.duplicate_groups, rows=tally.survey.duplicate_rows),
        "conflicting_rows": tally.conflicting_rows,
        "conflicts": tally.conflicts(),
    }
