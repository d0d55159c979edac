"""What a layout finds in a zip: the files that it speaks of, and what it says of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from adapters.datasets.archives import Archive, folded, shown
from adapters.datasets.limits import Limits
from adapters.datasets.media.kind import Kind
from adapters.datasets.media.tree import Tree
from adapters.datasets.problems import Level, Problem, Problems, fault
from zoo.errors import InvalidInput

MAX_NAMED = 20


class RawBox(NamedTuple):
    """A box as it was written; ``place`` says where, such as "annotation 17"; no ``label``: its class is unknown."""

    label: str | None
    values: tuple[float, float, float, float] | None
    place: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is said of one file: the entry ``file``. ``values``: role -> text, such as the label or the transcript.

    Of a picture also ``mask``, an entry, ``boxes``, and ``size``, a (width, height) given.
    """

    row: int
    line: int
    file: str
    values: dict[str, str] = field(default_factory=dict)
    mask: str | None = None
    boxes: tuple[RawBox, ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """``labels``: the classes that are named, used or not; for masks by value, None where a value is not learnt.

    ``lists`` are the files that were read for it, ``unusable`` rows of theirs that name no file or class.
    """

    name: str
    holds: str
    candidates: tuple[Candidate, ...]
    labels: tuple[str | None, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    ignored_columns: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    unusable: int = 0


@dataclass(frozen=True, slots=True)
class Search:
    """What a layout is looked for in, and where it says what is wrong.

    ``task`` is the one asked for, ``chosen`` the columns (role -> column).
    """

    archive: Archive
    kind: Kind
    tree: Tree
    limits: Limits
    problems: Problems
    chosen: Mapping[str, str]
    task: str | None = None

    def open(self, name: str) -> IO[bytes]:
        """A list that the zip holds, whole in memory; raises ``DatasetFault`` if it cannot be read."""
        try:
            return self.archive.open(name)
        except InvalidInput as error:
            message = f"{shown(name)}: {error.message}."
            raise fault("invalid_list", message, "Pack the file again.", file=name) from None

    def note(
        self,
        level: Level,
        code: str,
        message: str,
        fix: str,
        *,
        file: str | None = None,
        row: int | None = None,
        line: int | None = None,
        count: int = 1,
    ) -> None:
        """Add a problem."""
        problem = Problem(level=level, code=code, message=message, fix=fix, file=file, row=row, line=line)
        self.problems.add(problem, count=count)

    def note_files(self, level: Level, code: str, names: Sequence[str], said: str, fix: str) -> None:
        """Add a problem for each of the first twenty files, and one for all the others."""
        for name in names[:MAX_NAMED]:
            self.note(level, code, f"{shown(name)}: {said}.", fix, file=name)
        if (more := len(names) - MAX_NAMED) > 0:
            self.note(level, code, f"{more:,} more files: {said}.", fix, count=more)


class Files:
    """Finds the file that a list means: beside the list, in ``images`` beside it, from the top, or by its name."""

    def __init__(self, search: Search) -> None:
        tree = search.tree
        self._names = set(tree.media)
        self._root = tree.root
        self._beside = search.kind.beside
        self._by_name: dict[str, str | None] = {}
        for name in tree.media:
            last = name.rsplit("/", 1)[-1]
            for known in {last, last.rpartition(".")[0]}:
                self._by_name[known] = None if known in self._by_name else name

    def find(self, said: str, *, beside: str) -> str | None:
        """``beside`` is the name of the list; None for no such file, or more than one that could be meant."""
        said = folded(said.strip()).lstrip("/")
        folder = beside.rpartition("/")[0]
        folder += "/" if folder else ""
        above = folder.rstrip("/").rpartition("/")[0]
        above += "/" if above else ""
        starts = [folder, *self._inside(folder), self._root, *self._inside(self._root), *self._inside(above)]
        for start in starts:
            if start + said in self._names:
                return start + said
        return self._by_name.get(said.rsplit("/", 1)[-1])

    def _inside(self, folder: str) -> list[str]:
        return [f"{folder}{name}/" for name in self._beside]
