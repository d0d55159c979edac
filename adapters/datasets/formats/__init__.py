"""Formats of data files: bytes to rows, streamed."""

from __future__ import annotations

from pathlib import Path

from adapters.datasets.formats.delimited import DelimitedRows, sniff_delimiter
from adapters.datasets.formats.jsonl import read_jsonl
from adapters.datasets.formats.lines import Readable, detect_encoding, read_lines
from adapters.datasets.formats.rows import Row, Source
from adapters.datasets.formats.sniff import HEAD_BYTES, Format, sniff
from adapters.datasets.formats.squad import read_squad
from adapters.datasets.limits import Limits

__all__ = ["Format", "Readable", "Row", "Source", "open_rows", "sniff", "sniff_file"]


def sniff_file(path: Path) -> Format:
    """The format of the file at ``path``; raises ``Unsupported`` if it is none that is read."""
    with path.open("rb") as stream:
        return sniff(stream.read(HEAD_BYTES))


def open_rows(path: Readable, limits: Limits) -> Source:
    """Open a CSV, JSONL or SQuAD file; raises ``DatasetFault`` for a broken header and while rows are read."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    encoding, kind = detect_encoding(head), sniff(head)
    if kind == "squad":
        return Source("squad", encoding, None, None, read_squad(path, encoding, limits))
    lines = read_lines(path, encoding=encoding, limit=limits.row_bytes)
    if kind == "jsonl":
        return Source("jsonl", encoding, None, None, read_jsonl(lines, limits))
    delimiter = sniff_delimiter(read_lines(path, encoding=encoding, limit=limits.row_bytes))
    table = DelimitedRows(lines, delimiter=delimiter, limits=limits)
    return Source("csv", encoding, delimiter, table.header, iter(table))
