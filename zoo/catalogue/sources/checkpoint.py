"""What of a repository is a checkpoint: data files only, weights as safetensors, nothing that runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zoo.catalogue.entry import ModelFile, is_relative_file
from zoo.catalogue.hub_layout import refuse_code
from zoo.catalogue.manifest import hash_file
from zoo.catalogue.sources.ready_made import GraphWish, missing_graph
from zoo.catalogue.sources.shards import INDEX, WHOLE, check_index, shards_in
from zoo.catalogue.tensors import read_header
from zoo.errors import InvalidInput, SourceUnavailable

MAX_BYTES = 20_000_000_000
MAX_TEXT_BYTES = 64 * 1024 * 1024
_TEXTS = frozenset({".json", ".txt", ".model", ".spm"})
_CODE = frozenset({".py", ".pyc", ".so"})
INVALID_ADAPTER = "invalid_adapter"
GRAPH = ".onnx"
_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"})
# CTranslate2's weights have the name of older pickles; its vocabulary lies beside them. `check` looks into the file.
BINARY = "model.bin"
_VOCABULARIES = ("vocabulary.txt", "vocabulary.json", "shared_vocabulary.txt", "shared_vocabulary.json")
_SPEC = re.compile(rb"[\x01-\x09]\0\0\0[\x02-\xff]\0[A-Za-z]{1,64}Spec\0", re.DOTALL)
# Where sentence-transformers keeps what follows the body: 1_Pooling, 2_Dense, …
_MODULE = re.compile(r"[0-9]{1,2}_[A-Za-z]{1,32}/[^/]+")


@dataclass(frozen=True)
class Order:
    """What is wanted from a source: the pinned hashes, the size to expect, and whom to tell of progress.

    ``only_pinned``: not a whole checkpoint but the files whose hashes are given, whatever they are. ``graphs``: what is
    done with ready-made ONNX graphs; without it they are left where they are. ``weights``: names of an adapter's files,
    which are wanted instead of a checkpoint's weights, the first of which has to be there. ``download``: by a key, the
    folder in which an attempt that fails leaves whole files to the next.
    """

    pins: Mapping[str, str]
    expected_bytes: int
    progress: Callable[[int, int], None] | None = None
    only_pinned: bool = False
    graphs: GraphWish | None = None
    weights: tuple[str, ...] = ()
    download: Callable[[str], AbstractContextManager[Path]] | None = None

    @property
    def fault(self) -> str:
        """The code under which files that are no good safetensors are refused."""
        return INVALID_ADAPTER if self.weights else "unsafe_weights"

    def report(self, done: int, total: int | None = None) -> None:
        """Tell how many bytes are there; the callback may raise to stop the download."""
        if self.progress is not None:
            self.progress(done, self.expected_bytes if total is None else total)


def select(sizes: Mapping[str, int], order: Order) -> list[str]:
    """Of all files of a repository (path -> bytes) those that are wanted: first the texts, which may forbid the rest.

    ``InvalidInput``: ``unsafe_weights`` where there are only pickles, ``no_weights``, ``invalid_checkpoint`` where a
    shard is missing, ``unsafe_source`` for paths that lead elsewhere, ``invalid_adapter`` for code beside an adapter.
    ``SourceUnavailable`` if a pinned one is missing.
    """
    if not all(is_relative_file(path) for path in sizes):
        raise InvalidInput("a file name in it leads out of its folder, so all of it is refused", code="unsafe_source")
    pins = order.pins
    missing = sorted(set(pins) - set(sizes))
    if missing:
        raise SourceUnavailable(f"it has no {missing[0]}, whose hash the catalogue pins")
    chosen = sorted(
        pins if order.only_pinned else _checkpoint(sizes, order), key=lambda path: (not _is_text(path), path)
    )
    if order.weights:
        _refuse_code_beside(sizes)
    if sum(sizes[path] for path in chosen) > MAX_BYTES:
        raise InvalidInput(f"it is larger than {MAX_BYTES // 10**9} GB", code="too_large")
    return chosen


def _checkpoint(sizes: Mapping[str, int], order: Order) -> set[str]:
    pins, wish = order.pins, order.graphs
    weights = {path for path in pins if PurePosixPath(path).suffix not in (*_TEXTS, GRAPH)}
    graphs: tuple[str, ...] = ()
    if wish is not None and not wish.weights:
        graphs = _graphs(sizes, wish)
        pins, weights = {path: pin for path, pin in pins.items() if path not in weights}, set()
        if not graphs:
            raise missing_graph(sizes) or _no_graph()
    else:
        weights = weights or set(_weights(sizes, order.weights))
        if wish is not None and (wish.always or not weights):
            graphs = _graphs(sizes, wish)
    if not weights and not graphs:
        raise missing_graph(sizes) or _no_weights(sizes, *order.weights[:1])
    modules = {path for path in sizes if _MODULE.fullmatch(path) and path.endswith((".json", ".safetensors"))}
    texts = {path for path, size in sizes.items() if _is_text(path) and size <= MAX_TEXT_BYTES}
    if not weights:
        texts.discard(INDEX)  # of shards that are left where they are
    return {*pins, *weights, *graphs, *modules, *texts}


def _graphs(sizes: Mapping[str, int], wish: GraphWish) -> tuple[str, ...]:
    found = wish.find(sizes)
    return found.paths if found is not None else ()


def check(folder: Path, pins: Mapping[str, str], *, fault: str = "unsafe_weights") -> tuple[ModelFile, ...]:
    """Hash and look into every file that was copied; ``fault`` is the code for a safetensors file that is none.

    ``SourceUnavailable`` names a file whose hash is not the pinned one; ``InvalidInput``: ``remote_code`` if a
    configuration asks for Python code of the repository, ``unsafe_weights`` for a pickle, and what ``check_index``
    finds.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = tuple(_described(folder, path) for path in paths)
    for file in files:
        expected = pins.get(file.path, file.sha256)
        if file.sha256 != expected:
            raise SourceUnavailable(
                f"{file.path} should have the SHA-256 {expected} but has {file.sha256}: it was damaged on the way or is"
                " not the file that was checked. Try again; if it stays so, use another source or correct the hash"
            )
    for path in paths:
        if path.suffix == ".json" and path.parent == folder:
            refuse_code(path)
        elif path.suffix == ".safetensors":
            _refuse_disguise(path, fault)
        elif path.name == BINARY:
            _refuse_pickle(path)
    check_index(folder)
    return files


def _weights(sizes: Mapping[str, int], named: tuple[str, ...]) -> list[str]:
    if named:
        return [path for path in named if path in sizes] if named[0] in sizes else []
    if WHOLE in sizes:
        return [WHOLE]
    if shards := shards_in(sizes):
        return shards
    others = [path for path in sizes if path.endswith(".safetensors") and "/" not in path]
    if len(others) == 1:
        return others
    if not others:
        return [BINARY] if BINARY in sizes and any(name in sizes for name in _VOCABULARIES) else []
    raise InvalidInput(
        "it holds several .safetensors files but no model.safetensors: name the wanted one with its hash in the"
        " entry's files",
        code="no_weights",
    )


def _no_graph() -> InvalidInput:
    return InvalidInput(
        "it has no ready-made graph (onnx/model.onnx), and to export its weights the training libraries are needed: pip"
        " install 'adaptzoo[train]'",
        code="training_not_installed",
    )


def _no_weights(sizes: Mapping[str, int], wanted: str = WHOLE) -> InvalidInput:
    pickles = sorted(path for path in sizes if PurePosixPath(path).suffix in _PICKLES)
    if wanted != WHOLE:  # others beside it, of a training run say, are not its weights
        pickles = [path for path in pickles if PurePosixPath(path).stem == PurePosixPath(wanted).stem]
    if pickles:
        return InvalidInput(
            f"its weights are a pickle only ({pickles[0]}), and opening a pickle can run any program. Use a repository"
            f" or a revision with {wanted}, which save_pretrained writes",
            code="unsafe_weights" if wanted == WHOLE else INVALID_ADAPTER,
        )
    return InvalidInput(f"it has no {wanted}", code="no_weights")


def _is_text(path: str) -> bool:
    return "/" not in path and not path.startswith(".") and PurePosixPath(path).suffix in _TEXTS


def _described(folder: Path, path: Path) -> ModelFile:
    return ModelFile(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=hash_file(path))


def _refuse_code_beside(sizes: Mapping[str, int]) -> None:
    kinds = sorted({PurePosixPath(path).suffix.lower() for path in sizes if "/" not in path} & _CODE)
    if kinds:
        message = f"a {kinds[0]} file lies beside the adapter, and code has no place there: give a copy without it"
        raise InvalidInput(message, code=INVALID_ADAPTER)


def _refuse_disguise(path: Path, fault: str) -> None:
    try:
        read_header(path)
    except ValueError as error:
        raise InvalidInput(f"{path.name} is refused: {error}", code=fault) from error


def _refuse_pickle(path: Path) -> None:
    with path.open("rb") as file:
        if not _SPEC.match(file.read(128)):
            message = f"{path.name} is not in CTranslate2's layout, and opening a pickle can run any program"
            raise InvalidInput(message, code="unsafe_weights")
