"""What is in a user's data file and what is wrong with it: formats, schema, report, split. No torch, no pyarrow."""

from __future__ import annotations

from adapters.datasets.archives import ArchiveFile
from adapters.datasets.example import Box, Example, Span
from adapters.datasets.examples import read_examples
from adapters.datasets.files import FileStore
from adapters.datasets.inspection import fatal_report, inspect_file
from adapters.datasets.limits import Limits
from adapters.datasets.media.survey import Survey
from adapters.datasets.problems import DatasetFault, Problem
from adapters.datasets.records import FileRecord, Page
from adapters.datasets.report import Report
from adapters.datasets.split import Split, split
from adapters.datasets.zips import inspect_zip

__all__ = [
    "ArchiveFile",
    "Box",
    "DatasetFault",
    "Example",
    "FileRecord",
    "FileStore",
    "Limits",
    "Page",
    "Problem",
    "Report",
    "Span",
    "Split",
    "Survey",
    "fatal_report",
    "inspect_file",
    "inspect_zip",
    "read_examples",
    "split",
]
