"""The usable rows of an inspected data file, streamed: what training reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from adapters.datasets.example import Example
from adapters.datasets.fingerprints import Fingerprints
from adapters.datasets.formats import open_rows
from adapters.datasets.limits import Limits
from adapters.datasets.media.survey import Survey
from adapters.datasets.problems import Problem
from adapters.datasets.report import Report
from adapters.datasets.schema import Schema, schema_for
from adapters.datasets.values import named, read_example, text_of
from adapters.datasets.zips import read_zip

# the file has passed the service's own limits when it was inspected; these only bound the memory
_INSPECTED = Limits(rows=2**31, row_bytes=2**26, labels=2**31, total_bytes=2**62)


def read_examples(path: Path, report: Report, survey: Survey | None = None) -> Iterator[Example]:
    """The rows that the report calls usable, in file order; exactly ``report.usable_rows`` of them.

    ``survey`` spares decoding the files of a zip again. Raises ``DatasetFault`` (an ``InvalidDataset``) at the
    first step if the report is fatal.
    """
    report.raise_if_fatal()
    if report.layout is not None:
        yield from read_zip(path, report, survey)
        return
    schema = schema_for(report.task)
    left_out = _conflicting(path, report, schema) if report.conflicting_rows else b""
    for index, example in enumerate(_candidates(path, report, schema)):
        if not (left_out and left_out[index]):
            yield example


def _candidates(path: Path, report: Report, schema: Schema) -> Iterator[Example]:
    ranks = {found.label: rank for rank, found in enumerate(report.classes)}  # the largest class first
    for row in open_rows(path, _INSPECTED).rows:
        example = read_example(row, schema, report.columns)
        if isinstance(example, Problem):
            continue
        carried = {span.label for span in example.spans} | set(example.labels or ())
        if kinds := carried & ranks.keys():
            example = replace(example, rarest=max(kinds, key=ranks.__getitem__))
        yield example


def _conflicting(path: Path, report: Report, schema: Schema) -> bytes:
    """One byte for each candidate: 1 where its text has another label elsewhere."""
    labels: dict[tuple[str, ...], int] = {}
    prints = Fingerprints()
    for example in _candidates(path, report, schema):
        prints.add(text_of(example, schema), labels.setdefault(named(example), len(labels)))
    return bytes(prints.survey().conflicting)
