"""A checkpoint that ships with the zoo: small networks trained for it, each in a folder of its entry's name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zoo.catalogue.entry import FolderSource
from zoo.catalogue.sources.checkpoint import Order
from zoo.catalogue.sources.folder import copy_from_folder
from zoo.errors import InvalidInput

STARTERS = Path(__file__).parents[1] / "starters"


def copy_from_starter(name: str, target: Path, order: Order) -> str:
    """Copy the pinned files of the starter ``name``, its card included; the revision is empty.

    ``InvalidInput`` (``unknown_source``) where this installation has no such folder or the entry pins no files.
    """
    folder = STARTERS / name
    if not folder.is_dir() or not order.pins:
        raise InvalidInput("this installation has no starter of that name: reinstall adaptzoo", code="unknown_source")
    return copy_from_folder(FolderSource(kind="folder", path=str(folder)), target, replace(order, only_pinned=True))
