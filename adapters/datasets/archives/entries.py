"""One entry of a zip, and what its name may be. A name is a label and a key, never a place on this machine's disk."""

from __future__ import annotations

import re
import stat
import unicodedata
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipInfo

from adapters.datasets.archives.directory import refuse

MAX_NAME = 512
_UTF8 = 0x800
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_ARCHIVES = frozenset("zip tar gz tgz bz2 tbz2 xz txz zst 7z rar jar cab iso lz lzma z".split())
_JUNK_FOLDERS = frozenset({"__macosx", "__pycache__"})
_JUNK_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_SHOWN = 60


class Entry(NamedTuple):
    """``name`` in Unicode's composed form with ``/``; folders end with it. ``size`` is what the archive declares."""

    name: str
    size: int
    info: ZipInfo

    @property
    def is_junk(self) -> bool:
        """What systems and editors leave behind: ``.DS_Store``, ``__MACOSX``, ``Thumbs.db``, all that is hidden."""
        parts = [part.casefold() for part in self.name.split("/") if part]
        return any(part.startswith(".") or part in _JUNK_FOLDERS for part in parts) or parts[-1] in _JUNK_FILES

    @property
    def is_folder(self) -> bool:
        """An entry that stands for a folder."""
        return self.name.endswith("/")


def entry_of(info: ZipInfo) -> Entry:
    """The entry of a record; raises ``InvalidInput`` (invalid_archive) for one that has no business in a data set."""
    name = _name(info)
    _check_name(name)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a link" if kind == stat.S_IFLNK else "a device or pipe"
        refuse(f"{shown(name)} is {what}; put the file itself there")
    if info.flag_bits & _ENCRYPTED:
        refuse(f"{shown(name)} is encrypted; pack without a password")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        refuse(f"{shown(name)} is compressed by a method that is not read; pack with the usual one (deflate)")
    entry = Entry(name, info.file_size, info)
    if suffix_of(name) in _ARCHIVES and not entry.is_junk:
        refuse(f"{shown(name)} is an archive inside the archive; unpack it first")
    return entry


def suffix_of(name: str) -> str:
    """What follows the last dot of the file's name, in small letters; empty without one."""
    stem, dot, suffix = name.rsplit("/", 1)[-1].rpartition(".")
    return suffix.lower() if dot and stem else ""


def folded(name: str) -> str:
    """The form in which names are compared: composed, and as people write them in tables.

    One that is too long to be composed to the name of an entry stays as it is: half a million combining marks would
    take minutes.
    """
    composed = unicodedata.normalize("NFC", name) if len(name) <= 4 * MAX_NAME else name
    return composed.replace("\\", "/").removeprefix("./")


def shown(name: str) -> str:
    """A name for a message: printable, its last 60 characters."""
    clean = "".join(character if character.isprintable() else "?" for character in name)
    return clean if len(clean) <= _SHOWN else "…" + clean[-_SHOWN:]


def _name(info: ZipInfo) -> str:
    name = info.orig_filename
    if not info.flag_bits & _UTF8 and not name.isascii():
        try:
            # the Finder of macOS writes UTF-8 without saying so
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass  # it really is of the old code page
    return unicodedata.normalize("NFC", name)


def _check_name(name: str) -> None:
    if not name.strip("/") or len(name) > MAX_NAME:
        refuse(f"it has an entry without a name, or with one of more than {MAX_NAME} characters")
    if "\\" in name:
        refuse(f"the name {shown(name)} has a backslash; folders are separated by /")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        refuse(f"the name {shown(name)} is absolute; names have to be relative to the archive")
    if any(part in ("..", ".", "") for part in name.removesuffix("/").split("/")):
        refuse(f"the name {shown(name)} leads out of the archive or is not plain; leave out . and ..")
    if any(ord(character) < 32 and character != "\r" for character in name):
        refuse(f"the name {shown(name)} holds a control character")
