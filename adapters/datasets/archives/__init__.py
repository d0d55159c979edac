"""Uploaded zip files: checked as a whole, then read entry by entry, never unpacked to disk."""

from __future__ import annotations

from adapters.datasets.archives.archive import Archive, Caps
from adapters.datasets.archives.archive_file import ArchiveFile
from adapters.datasets.archives.entries import Entry, folded, shown, suffix_of

__all__ = ["Archive", "ArchiveFile", "Caps", "Entry", "folded", "shown", "suffix_of"]
