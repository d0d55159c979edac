"""Bring a checkpoint into a folder from the first of its sources that delivers what was promised."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.catalogue.durable import storage_errors
from zoo.catalogue.entry import CatalogueEntry, FolderSource, HubSource, ModelFile, PackageSource, Source
from zoo.catalogue.sources.checkpoint import Order, check
from zoo.catalogue.sources.folder import copy_from_folder
from zoo.catalogue.sources.hub import copy_from_hub
from zoo.catalogue.sources.package import copy_from_package
from zoo.errors import InvalidInput, SourceUnavailable

Failure = InvalidInput | SourceUnavailable


@dataclass(frozen=True)
class Fetched:
    """What was fetched: the source (``hub tiny/bert``), its commit or version, and every file with its hash."""

    source: str
    revision: str
    files: tuple[ModelFile, ...]


def fetch(
    entry: CatalogueEntry,
    target: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    endpoint: str | None = None,
) -> Fetched:
    """Copy the checkpoint of ``entry`` into the empty folder ``target`` (made if missing) and check every hash.

    Sources are tried in order; one that fails, a wrong hash included, is followed by the next. ``progress`` gets bytes
    done and in all, and may raise to stop. If none delivers, ``SourceUnavailable`` lists each with its reason, or
    ``InvalidInput`` if every one is refused for what it is. ``endpoint`` replaces the hub's configured address.
    """
    failures: list[tuple[str, Failure]] = []
    target.mkdir(parents=True, exist_ok=True)
    for source in entry.sources:
        pins = entry.pins_for(source)
        order = Order(pins, int(entry.size_mb * 1e6), progress)
        try:
            with storage_errors():
                revision = _copy(source, target, order, endpoint)
                return Fetched(_label(source), revision, check(target, pins))
        except (InvalidInput, SourceUnavailable) as error:
            failures.append((_label(source), error))
            _empty(target)
    raise _none_worked(entry.name, failures)


def _copy(source: Source, target: Path, order: Order, endpoint: str | None) -> str:
    match source:
        case PackageSource():
            return copy_from_package(source, target, order)
        case HubSource():
            return copy_from_hub(source, target, order, endpoint=endpoint)
        case FolderSource():
            return copy_from_folder(source, target, order)


def _label(source: Source) -> str:
    match source:
        case PackageSource():
            return f"package {source.package}"
        case HubSource():
            return f"hub {source.id}"
        case FolderSource():
            return "local folder"


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _none_worked(name: str, failures: Sequence[tuple[str, Failure]]) -> Failure:
    reasons = "; ".join(f"{label}: {error.message}" for label, error in failures)
    message = f"{name} could not be fetched. {reasons}."
    unavailable = [error for _, error in failures if isinstance(error, SourceUnavailable)]
    if unavailable:
        return SourceUnavailable(message, retry_after=max(error.retry_after for error in unavailable))
    return InvalidInput(message, code=failures[0][1].code, param="source")
