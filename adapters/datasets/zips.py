"""Data sets in a zip, of whatever medium its files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from adapters.datasets.archives import Archive, suffix_of
from adapters.datasets.example import Example
from adapters.datasets.limits import Limits
from adapters.datasets.media.layout import Search
from adapters.datasets.media.medium import Medium
from adapters.datasets.media.reading import Reading
from adapters.datasets.media.survey import Progress, Survey
from adapters.datasets.media.tree import Tree
from adapters.datasets.problems import DatasetFault, Problems
from adapters.datasets.report import Report
from adapters.datasets.schema import schema_for
from zoo.errors import Unsupported

SHEET_FILE, SURVEY_FILE = "sheet.jpg", "survey.jsonl"
_TABLES = frozenset({"csv", "tsv", "jsonl", "parquet", "txt"})


@cache
def media() -> tuple[Medium, ...]:
    """All there are. Their decoders are imported with the first zip: a service that starts does not wait for them."""
    from adapters.datasets import pictures, sounds

    return pictures.MEDIUM, sounds.MEDIUM


class Asked(NamedTuple):
    """What the caller wants of a zip: ``task`` None for the one that its layout is for; ``file`` is the upload's id."""

    task: str | None = None
    columns: Mapping[str, str] = MappingProxyType({})
    file: str = ""


class Inspected(NamedTuple):
    """``examples`` are the usable ones, none if the report is fatal."""

    report: Report
    examples: list[Example]
    survey: Survey
    medium: Medium


def inspect_zip(
    path: Path,
    asked: Asked | None = None,
    *,
    limits: Limits,
    survey: Survey | None = None,
    bounded: bool = False,
    progress: Progress | None = None,
) -> Inspected:
    """The report on a zip; what makes it untrainable is in ``fatal``.

    ``survey`` is what is known of the files; it is completed. Raises ``TooLarge``, ``InvalidInput`` or
    ``Unsupported`` for a zip that is not read at all, ``InvalidInput`` for an unknown task or column, and ``TooMuch``
    if ``bounded`` and there is more to decode than a request may take.
    """
    task, columns, file = asked or Asked()
    schema = schema_for(task) if task is not None else None
    with Archive(path) as archive:
        medium = _medium(archive, schema.medium if schema else None)
        tree = Tree(archive, medium.kind)
        search = Search(archive, medium.kind, tree, limits, Problems(), columns, task)
        reading = Reading(medium, search, schema, survey if survey is not None else Survey())
        try:
            reading.run(bounded, progress)
        except DatasetFault as found:
            return Inspected(reading.report(file, found.problem), [], reading.survey, medium)
        return Inspected(reading.report(file, None), reading.examples, reading.survey, medium)


def read_zip(path: Path, report: Report, survey: Survey | None = None) -> Iterator[Example]:
    """The examples that the report calls usable, in the report's order; files are decoded unless surveyed before."""
    limits = Limits(rows=2**31, row_bytes=2**26, labels=2**31)
    yield from inspect_zip(path, Asked(report.task, report.columns), limits=limits, survey=survey).examples


def read_survey(folder: Path) -> Survey:
    """What ``keep`` has written there; empty without it."""
    return Survey.read(folder / SURVEY_FILE, {role: look for medium in media() for role, look in medium.looks.items()})


def keep(folder: Path, found: Inspected) -> list[Path]:
    """Write what is known of each file into ``folder``, and a contact sheet where its medium has one."""
    found.survey.write(folder / SURVEY_FILE)
    if not found.examples or found.medium.sheet is None:
        return [folder / SURVEY_FILE]
    (folder / SHEET_FILE).write_bytes(found.medium.sheet(found.examples, found.report.labels))
    return [folder / SURVEY_FILE, folder / SHEET_FILE]


def _medium(archive: Archive, wanted: str | None) -> Medium:
    """The one asked for, if the zip has any of its files, else the one that it has most files of."""
    suffixes = [suffix_of(name) for name in archive.entries]

    def rank(medium: Medium) -> tuple[bool, bool, int]:
        count = sum(suffix in medium.kind.suffixes for suffix in suffixes)
        return count > 0, medium.kind.role == wanted, count

    best = max(media(), key=rank)
    if rank(best)[0]:
        return best
    tables = " but tables: unpack it and send the table itself" if _TABLES.intersection(suffixes) else ""
    message = (
        f"The zip holds neither pictures nor audio{tables}. Send CSV, JSONL, Parquet, or a zip of pictures or audio."
    )
    raise Unsupported(message, param="file")
