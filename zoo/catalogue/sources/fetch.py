"""Bring a checkpoint into a folder from the first of its sources that delivers what was promised."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.catalogue.durable import storage_errors
from zoo.catalogue.entry import (
    CatalogueEntry,
    Companion,
    FolderSource,
    HubSource,
    ModelFile,
    OfferedSource,
    PackageSource,
    StarterSource,
)
from zoo.catalogue.sources.checkpoint import Order, check
from zoo.catalogue.sources.folder import copy_from_folder
from zoo.catalogue.sources.hub import copy_from_hub
from zoo.catalogue.sources.package import copy_from_package
from zoo.catalogue.sources.ready_made import GraphWish
from zoo.catalogue.sources.starter import copy_from_starter
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
    graphs: GraphWish | None = None,
    weights: tuple[str, ...] = (),
    download: Callable[[str], AbstractContextManager[Path]] | None = None,
) -> Fetched:
    """Copy the checkpoint of ``entry`` into the empty folder ``target`` (made if missing) and check every hash.

    Its companions are put beside it; one that cannot be had fails the whole, as the model would be incomplete.

    Sources are tried in order; one that fails, a wrong hash included, is followed by the next. ``progress`` gets bytes
    done and in all, and may raise to stop. If none delivers, ``SourceUnavailable`` lists each with its reason, or
    ``InvalidInput`` if every one is refused for what it is. ``endpoint`` replaces the hub's configured address.
    ``graphs``: whether ready-made ONNX graphs are wanted, beside the weights or instead of them. ``weights``: the files
    of an adapter that are wanted instead of a checkpoint's weights, and ``download``, see ``Order``.
    """
    failures: list[tuple[str, Failure]] = []
    target.mkdir(parents=True, exist_ok=True)
    for source in entry.sources:
        pins = entry.pins_for(source)
        order = Order(pins, int(entry.size_mb * 1e6), progress, graphs=graphs, weights=weights, download=download)
        try:
            with storage_errors():
                revision = _copy(entry.name, source, target, order, endpoint)
                files = check(target, pins, fault=order.fault)
        except (InvalidInput, SourceUnavailable) as error:
            failures.append((_label(source), error))
            _empty(target)
            continue
        own = sum(file.size for file in files)
        brought = {file.path: file for file in (*files, *_bring_companions(entry, target, order, own=own))}
        return Fetched(_label(source), revision, tuple(brought.values()))
    raise _none_worked(entry.name, failures)


def _bring_companions(entry: CatalogueEntry, target: Path, order: Order, *, own: int) -> list[ModelFile]:
    """``own``: bytes that are there already. A package tells when it is there, so that no more are told meanwhile."""
    brought: list[ModelFile] = []
    for companion in entry.companions:
        try:
            with storage_errors():
                brought += _bring(companion, target, replace(order, progress=lambda *_: order.report(own)))
        except (InvalidInput, SourceUnavailable) as error:
            _empty(target)
            raise _none_worked(entry.name, [(_label(companion.source), error)]) from error
    if brought:
        order.report(order.expected_bytes)
    return brought


def _bring(companion: Companion, target: Path, order: Order) -> tuple[ModelFile, ...]:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".companion-") as scratch:
        folder = Path(scratch) / "files"
        folder.mkdir()
        copy_from_package(companion.source, folder, replace(order, pins=companion.files, only_pinned=True))
        files = check(folder, companion.files)
        for file in files:
            (target / file.path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder / file.path, target / file.path)
        return files


def _copy(name: str, source: OfferedSource, target: Path, order: Order, endpoint: str | None) -> str:
    match source:
        case PackageSource():
            return copy_from_package(source, target, order)
        case HubSource():
            return copy_from_hub(source, target, order, endpoint=endpoint)
        case FolderSource():
            return copy_from_folder(source, target, order)
        case StarterSource():
            return copy_from_starter(name, target, order)


def _label(source: OfferedSource) -> str:
    match source:
        case PackageSource():
            return f"package {source.package}"
        case HubSource():
            return f"hub {source.id}"
        case FolderSource():
            return "local folder"
        case StarterSource():
            return "starter"


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
