"""The manifest of a model version: how it is read, and how the files beside it are proven to be what it says.

Files are opened part by part without following a link, so that nothing outside the version's own folder is ever read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from zoo.catalogue.durable import sync_folder
from zoo.catalogue.entry import ModelEntry, ModelFile, is_relative_file
from zoo.errors import ArtifactCorrupt, InvalidInput

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
MAX_FILES = 10_000
_CHUNK = 1024 * 1024


def read_manifest(models: Path, name: str, version: int) -> ModelEntry:
    """Read the manifest of ``models/<name>/<version>``; ``ArtifactCorrupt`` unless it is whole and its own."""
    where = f"{name}@{version}"
    try:
        with _opened(models, f"{name}/{version}/{MANIFEST}") as (handle, status):
            if status.st_size > MAX_MANIFEST_BYTES:
                raise _corrupt(where, "its manifest is larger than a manifest can be")
            text = os.read(handle, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise _corrupt(where, "its manifest is missing or not a plain file") from error
    try:
        entry = ModelEntry.model_validate_json(text)
    except ValidationError as error:
        raise _corrupt(where, "its manifest cannot be read") from error
    if (entry.name, entry.version) != (name, version):
        raise _corrupt(where, "its manifest is that of another version")
    return entry


def verify_files(models: Path, entry: ModelEntry, *, leaving: Collection[str] = ()) -> None:
    """Read and hash every file of the version but those; ``ArtifactCorrupt`` names the first not as published.

    ``leaving``: files, and folders with all that is in them.
    """
    for file in entry.files:
        if file.path in leaving or file.path.partition("/")[0] in leaving:
            continue
        with _published(models, entry, file) as handle:
            if _hash(handle) != file.sha256:
                raise _corrupt(entry.reference, f"{file.path} has been changed since it was published")


def has_all_files(models: Path, entry: ModelEntry) -> bool:
    """Whether every file is there with its size, as a plain file of its own; the contents are not read."""
    folder = str(models / entry.name / str(entry.version))
    try:
        for file in entry.files:
            status = os.lstat(f"{folder}/{file.path}")
            if not _is_own_file(status) or status.st_size != file.size:
                return False
    except OSError:
        return False
    return True


def describe_files(folder: Path) -> tuple[ModelFile, ...]:
    """Hash every file below ``folder`` but its manifest, and force files and folders to disk.

    ``InvalidInput`` (``invalid_model``) for links, sockets and the like, and for names that no manifest may hold.
    """
    files: list[ModelFile] = []
    for root, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = PurePosixPath(Path(root, name).relative_to(folder).as_posix())
            _check_staged(Path(root, name), path, is_folder=name in folders)
        for name in names:
            path = PurePosixPath(Path(root, name).relative_to(folder).as_posix())
            if str(path) != MANIFEST:
                files.append(_describe(folder, str(path)))
        if len(files) > MAX_FILES:
            raise InvalidInput(f"A model version may hold at most {MAX_FILES} files.", code="invalid_model")
        sync_folder(Path(root))
    return tuple(sorted(files, key=lambda file: file.path))


def hash_file(path: Path) -> str:
    """SHA-256 of a plain file; ``OSError`` for a link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return _hash(handle)
    finally:
        os.close(handle)


def _describe(folder: Path, path: str) -> ModelFile:
    with _opened(folder, path) as (handle, status):
        digest = _hash(handle)
        os.fsync(handle)
        return ModelFile(path=path, size=status.st_size, sha256=digest)


def _check_staged(path: Path, relative: PurePosixPath, *, is_folder: bool) -> None:
    status = path.lstat()
    good = stat.S_ISDIR(status.st_mode) if is_folder else _is_own_file(status)
    if not good or not is_relative_file(str(relative)):
        fault = "A file of the model is a link or no plain file, or its name holds characters that are not allowed"
        raise InvalidInput(f"{fault}: stage copies under plain names.", code="invalid_model")


def _is_own_file(status: os.stat_result) -> bool:
    # A second hard link would let somebody change the bytes after they were checked.
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


@contextmanager
def _published(models: Path, entry: ModelEntry, file: ModelFile) -> Iterator[int]:
    try:
        with _opened(models, f"{entry.name}/{entry.version}/{file.path}") as (handle, status):
            if not _is_own_file(status):
                raise _corrupt(entry.reference, f"{file.path} is a link or no plain file")
            if status.st_size != file.size:
                raise _corrupt(entry.reference, f"{file.path} holds {status.st_size} of {file.size} bytes")
            yield handle
    except OSError as error:
        raise _corrupt(entry.reference, f"{file.path} is missing or cannot be read") from error


@contextmanager
def _opened(root: Path, path: str) -> Iterator[tuple[int, os.stat_result]]:
    """Open a file below ``root`` for reading; a link in any part of ``path`` raises ``OSError``."""
    *folders, name = path.split("/")
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            handle = _step(handle, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        # Without O_NONBLOCK a named pipe in the file's place would hang the reader.
        handle = _step(handle, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        yield handle, os.fstat(handle)
    finally:
        os.close(handle)


def _step(parent: int, name: str, flags: int) -> int:
    child = os.open(name, flags, dir_fd=parent)
    os.close(parent)
    return child


def _hash(handle: int) -> str:
    digest = hashlib.sha256()
    while chunk := os.read(handle, _CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _corrupt(reference: str, fault: str) -> ArtifactCorrupt:
    return ArtifactCorrupt(
        f"{reference} is not loaded, because {fault}. Restore its folder from a backup, or delete the version and"
        " import or train it again."
    )
