"""A zip that is safe to read: every entry is judged before the first one is opened, and each is read within a cap."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo

from adapters.datasets.archives.directory import check_directory, refuse
from adapters.datasets.archives.entries import Entry, entry_of, shown
from zoo.errors import InvalidInput, TooLarge, Unsupported

MIB = 1024 * 1024
_BROKEN = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)
_LOCAL_HEADER = 30
_OFFICE = {"xl": "an Excel workbook: save the sheet as CSV", "word": "a Word document", "ppt": "a PowerPoint document"}
_PACKAGES = {
    "AndroidManifest.xml": "an Android package",
    "META-INF/MANIFEST.MF": "a Java archive",
    "META-INF/container.xml": "an EPUB book",
    "META-INF/manifest.xml": "an OpenDocument file: save a sheet as CSV",
}


@dataclass(frozen=True, slots=True)
class Caps:
    """Most entries, bytes of one entry and of all of them; ``ratio`` of unpacked to packed counts from ``free`` on."""

    entries: int = 100_000
    entry_bytes: int = 64 * MIB
    total_bytes: int = 4096 * MIB
    ratio: int = 200
    free: int = 50 * MIB


class Archive:
    """The entries of a zip by name, without junk. Threads may share one; a forked process has to open its own.

    Opening raises ``TooLarge`` (archive_too_large), ``InvalidInput`` (invalid_archive), and ``Unsupported`` for what
    is a zip by form only, such as an Office document.
    """

    def __init__(self, path: Path, caps: Caps | None = None) -> None:
        self._caps = caps or Caps()
        self.path = path
        with path.open("rb") as stream:
            count = check_directory(stream, most=self._caps.entries)
        try:
            self._zip = ZipFile(path)
        except _BROKEN:
            refuse("its table of contents is damaged")
        try:
            infos = self._zip.infolist()
            if len(infos) != count:
                refuse("its table of contents is damaged")
            entries = [entry_of(info) for info in infos]
            _check_kind(entries)
            self._check_sizes(entries)
            _check_overlaps(infos, self._zip.start_dir)
            self.entries, self.folders, self.junk = _sorted(entries)
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self._zip.close()

    def open(self, name: str) -> IO[bytes]:
        """An entry's content, whole in memory; errors as in ``read``."""
        return io.BytesIO(self.read(name))

    def read(self, name: str) -> bytes:
        """An entry's content; raises ``InvalidInput`` (damaged_entry) where it is not what the archive declares."""
        entry = self.entries[name]
        try:
            # what is declared has been checked; zipfile unpacks as much as is asked for and no more
            with self._zip.open(entry.info) as stream:
                data = stream.read(entry.size + 1)
        except (*_BROKEN, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise _damaged() from None
        if len(data) != entry.size:
            raise _damaged()
        return data

    def _check_sizes(self, entries: Iterable[Entry]) -> None:
        caps, total, packed = self._caps, 0, 0
        for entry in entries:
            if entry.size > caps.entry_bytes:
                raise _too_large(f"{shown(entry.name)} unpacks to more than {caps.entry_bytes // MIB:,} MiB")
            total += entry.size
            packed += entry.info.compress_size
        if total > caps.total_bytes:
            raise _too_large(f"the zip unpacks to {total // MIB:,} MiB; at most {caps.total_bytes // MIB:,} are read")
        if total > caps.free and total > caps.ratio * packed:
            raise _too_large(f"the zip unpacks to more than {caps.ratio} times its size, as no data set does")


def _sorted(entries: Iterable[Entry]) -> tuple[dict[str, Entry], set[str], int]:
    """Files by name, folders, and how many entries are junk; raises for a name that stands there twice."""
    files: dict[str, Entry] = {}
    folders: set[str] = set()
    seen: set[str] = set()
    junk = 0
    for entry in entries:
        if entry.name in seen:
            refuse(f"it holds two entries named {shown(entry.name)}")
        seen.add(entry.name)
        if entry.is_junk:
            junk += not entry.is_folder
        elif entry.is_folder:
            folders.add(entry.name)
        else:
            files[entry.name] = entry
    return files, folders, junk


def _check_overlaps(infos: Iterable[ZipInfo], end: int) -> None:
    """No byte may belong to two entries: that is how 42 kB become petabytes."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    starts = [info.header_offset for info in ordered] + [end]
    for info, following in zip(ordered, starts[1:], strict=True):
        least = _LOCAL_HEADER + len(info.orig_filename) + info.compress_size
        if info.header_offset < 0 or info.header_offset + least > following:
            refuse(f"{shown(info.filename)} overlaps with another entry")


def _check_kind(entries: Iterable[Entry]) -> None:
    """Zips that are something else are refused as what they are."""
    names = {entry.name for entry in entries}
    what = next((said for name, said in _PACKAGES.items() if name in names), "")
    if "[Content_Types].xml" in names:
        tops = {name.split("/", 1)[0] for name in names}
        what = next((said for top, said in _OFFICE.items() if top in tops), "an Office document")
    if what:
        message = f"The file is {what}. Send CSV, JSONL, Parquet, or a zip of pictures or audio."
        raise Unsupported(message, param="file")


def _damaged() -> InvalidInput:
    return InvalidInput("the entry is damaged: it does not unpack to what the zip declares", code="damaged_entry")


def _too_large(reason: str) -> TooLarge:
    message = f"The archive is too large: {reason}. Send fewer or smaller files."
    return TooLarge(message, code="archive_too_large", param="file")
