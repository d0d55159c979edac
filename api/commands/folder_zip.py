"""A folder of pictures or audio as the zip that the service reads: as it is, without what systems leave lying about."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import InvalidInput

JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})  # and all that begins with a dot
MOST_FILES = 100_000  # the most that the service reads of one zip


@contextmanager
def zipped(folder: Path) -> Iterator[Path]:
    """The files below ``folder`` in a zip for the length of the block, its name that of the folder.

    Nothing is compressed: pictures and most audio are already. Links are not followed. ``InvalidInput`` if there is
    nothing to pack or a file cannot be read.
    """
    found = files_of(folder)
    if not found:
        raise InvalidInput(
            f"there is no file in the folder {folder}; give the one that holds the pictures or the audio"
        )
    with tempfile.TemporaryDirectory() as place:
        packed = Path(place) / f"{folder.absolute().resolve().name or 'files'}.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for file in found:
                _add(archive, file, file.relative_to(folder).as_posix())
        yield packed


def files_of(folder: Path) -> list[Path]:
    """The files below ``folder`` in alphabetical order, without links and junk."""
    found: list[Path] = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_junk(name) and not Path(here, name).is_symlink())
        paths = (Path(here, name) for name in sorted(names) if not _is_junk(name))
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
        if len(found) > MOST_FILES:
            raise InvalidInput(f"{folder} has more than {MOST_FILES:,} files; give a smaller folder")
    return found


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name in JUNK


def _add(archive: zipfile.ZipFile, file: Path, name: str) -> None:
    try:
        # The date is left out: the same files make the same zip.
        with file.open("rb") as stream, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
            while piece := stream.read(1 << 20):
                entry.write(piece)
    except (OSError, UnicodeEncodeError) as error:
        raise InvalidInput(f"{file!r} cannot be packed: {getattr(error, 'strerror', '') or 'its name'}") from error
