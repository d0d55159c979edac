"""The names in a zip as a data set's folders: wrapping folders taken off, the parts of a split recognised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from posixpath import commonprefix

from adapters.datasets.archives import Archive, suffix_of
from adapters.datasets.media.kind import Kind

LISTS = frozenset({"metadata.csv", "metadata.jsonl"})
_TRAIN = frozenset({"train", "training"})
_VALIDATION = frozenset({"val", "valid", "validation", "dev"})
_TEST = frozenset({"test", "testing"})


class Tree:
    """Files of an archive. ``media`` (those of the kind) and ``others`` are full names in alphabetical order.

    ``root`` wraps them all. Where all media lie below folders such as train, val and test, those are no classes: what
    is in ``test`` is ``left_out``, the rest is one data set, which is divided anew with a seed.
    """

    def __init__(self, archive: Archive, kind: Kind) -> None:
        names = sorted(archive.entries)
        self.names = frozenset(names)
        self.media = [name for name in names if suffix_of(name) in kind.suffixes]
        self.others = [name for name in names if suffix_of(name) not in kind.suffixes]
        self.root = _root(self.media, self.others)
        self._parts = self._find_parts()
        self.left_out = frozenset(name for name in self.names if self._is_left_out(name))
        self._folders = archive.folders

    def below(self, name: str) -> tuple[str, ...]:
        """The path without the root and without the part of a split."""
        parts = tuple(name.removeprefix(self.root).split("/"))
        return parts[1:] if self._parts and len(parts) > 1 and parts[0].casefold() in self._parts else parts

    def used(self, names: Iterable[str]) -> list[str]:
        """Those that do not belong to a part that is left out."""
        return [name for name in names if name not in self.left_out]

    def class_folders(self) -> Iterator[str]:
        """The first folder of every path, also of folders that hold nothing."""
        for name in (*self.names, *self._folders):
            if name.startswith(self.root) and not self._is_left_out(name):
                parts = self.below(name)
                if len(parts) > 1 and parts[0]:
                    yield parts[0]

    def _find_parts(self) -> frozenset[str]:
        paths = [name.removeprefix(self.root).split("/") for name in self.media]
        firsts = frozenset(path[0].casefold() for path in paths)
        deep = any(len(path) > 2 for path in paths) or any(self._describes(name) for name in self.others)
        known = _TRAIN | _VALIDATION | _TEST
        return firsts if firsts and deep and firsts <= known else frozenset()

    def _describes(self, name: str) -> bool:
        return name.rsplit("/", 1)[-1] in LISTS or suffix_of(name) == "json"

    def _is_left_out(self, name: str) -> bool:
        first = name.removeprefix(self.root).split("/", 1)[0].casefold()
        return bool(self._parts & _TRAIN) and first in _TEST and "/" in name.removeprefix(self.root)


def _root(media: list[str], others: list[str]) -> str:
    """The folders, ending with a slash, that wrap all there is; the folder right around media is no wrapping."""
    lists = [name for name in others if suffix_of(name) in ("json", "jsonl", "csv")]
    names = media + lists
    root = commonprefix(names).rpartition("/")[0]
    root += "/" if root else ""
    if not lists and root and not any("/" in name[len(root) :] for name in names):
        root = root[:-1].rpartition("/")[0]
        root += "/" if root else ""
    return root
