"""What is in a user's data file and what is wrong with it: formats, schema, report, split. No torch, no pyarrow."""

from __future__ import annotations

from adapters.datasets.examples import Example, read_examples
from adapters.datasets.files import FileStore
from adapters.datasets.inspection import fatal_report, inspect_file
from adapters.datasets.limits import Limits
from adapters.datasets.problems import DatasetFault, Problem
from adapters.datasets.records import FileRecord, Page
from adapters.datasets.report import Report
from adapters.datasets.split import Split, split

__all__ = [
    "DatasetFault",
    "Example",
    "FileRecord",
    "FileStore",
    "Limits",
    "Page",
    "Problem",
    "Report",
    "Split",
    "fatal_report",
    "inspect_file",
    "read_examples",
    "split",
]
