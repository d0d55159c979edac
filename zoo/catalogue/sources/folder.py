"""A checkpoint in a folder of this machine."""

from __future__ import annotations

from pathlib import Path

from zoo.catalogue.entry import FolderSource
from zoo.catalogue.sources.checkpoint import Order, select
from zoo.errors import InvalidInput

MAX_ENTRIES = 10_000
_CHUNK = 4 * 1024 * 1024


def copy_from_folder(source: FolderSource, target: Path, order: Order) -> str:
    """Copy the checkpoint to ``target``; the revision is empty, as a folder has none.

    ``InvalidInput`` if there is no such folder or a needed file is a link that leads out of it.
    """
    root = Path(source.path).expanduser()
    if not root.is_dir():
        raise InvalidInput("there is no such folder on this machine", code="unknown_source", param="source")
    root = root.resolve()
    sizes = _sizes(root)
    chosen = select(sizes, order)
    total, done = sum(sizes[path] for path in chosen), 0
    for path in chosen:
        real = (root / path).resolve()
        if not real.is_relative_to(root):
            raise InvalidInput(
                f"{path} is a link to a file outside the folder: give a folder of real files, e.g. made by cp -rL",
                code="unsafe_source",
            )
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with real.open("rb") as original, place.open("xb") as copy:
            while chunk := original.read(_CHUNK):
                copy.write(chunk)
                done += len(chunk)
                order.report(done, total)
    return ""


def _sizes(root: Path) -> dict[str, int]:
    # A checkpoint is at most two levels deep; no more is looked at, whatever folder was given.
    sizes: dict[str, int] = {}
    for pattern in ("*", "*/*"):
        for path in root.glob(pattern):
            if path.is_file():
                sizes[path.relative_to(root).as_posix()] = path.stat().st_size
            if len(sizes) > MAX_ENTRIES:
                raise InvalidInput(f"it holds more than {MAX_ENTRIES} files, so it is no checkpoint", code="no_weights")
    return sizes
