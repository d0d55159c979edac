"""A checkpoint in a repository of the model hub, pinned to one commit.

Address, token and cache are those that huggingface_hub takes from its own settings (HF_ENDPOINT, HF_TOKEN, …).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.catalogue.entry import HubSource
from zoo.catalogue.hub_layout import refuse_code
from zoo.catalogue.manifest import hash_file
from zoo.catalogue.sources.checkpoint import Order, select
from zoo.catalogue.sources.hub_errors import hub_errors
from zoo.errors import SourceUnavailable

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = 30.0


def copy_from_hub(source: HubSource, target: Path, order: Order, *, endpoint: str | None = None) -> str:
    """Copy the checkpoint to ``target`` and return the commit; every file is checked against the hub's own hash.

    Whole files that an attempt which failed has left are not downloaded again, if they are still those of the commit.
    ``InvalidInput`` for gated or unknown repositories and those without safetensors, else ``SourceUnavailable``.
    """
    # Imported here: it costs 0.3 s, and serving never needs it.
    from huggingface_hub import HfApi, hf_hub_download

    with hub_errors():
        found = HfApi(endpoint=endpoint).model_info(
            source.id, revision=source.revision, files_metadata=True, timeout=_SECONDS
        )
    commit = str(found.sha)
    if not _COMMIT.fullmatch(commit):
        raise SourceUnavailable("the hub named no commit for it")
    siblings = {str(sibling.rfilename): sibling for sibling in found.siblings or ()}
    sizes = {path: int(sibling.size or 0) for path, sibling in siblings.items()}
    chosen = select(sizes, order)
    meter = _Meter(order, sum(sizes[path] for path in chosen))
    with _folder(source, target, order) as folder:
        for path in chosen:
            with hub_errors():
                hf_hub_download(
                    source.id, path, revision=commit, local_dir=folder, endpoint=endpoint, tqdm_class=meter.bar()
                )
            _check_hash(folder / path, path, siblings[path])
            if path.endswith(".json") and "/" not in path:
                refuse_code(folder / path)  # before the weights, which may be gigabytes, are copied for nothing
            meter.finish(sizes[path])
        for path in chosen:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(folder / path, target / path)
    return commit


@contextmanager
def _folder(source: HubSource, target: Path, order: Order) -> Iterator[Path]:
    """Where files are downloaded to: beside what huggingface_hub writes down about them, which is no checkpoint's."""
    if order.download is not None:
        with order.download(f"hub {source.id}") as folder:
            yield folder
        return
    yield target
    shutil.rmtree(target / ".cache", ignore_errors=True)


def _check_hash(place: Path, path: str, sibling: Any) -> None:
    """Compare with the SHA-256 of large files, the git object id of small ones."""
    if sibling.lfs is not None:
        good = hash_file(place) == sibling.lfs.sha256
    elif sibling.blob_id is not None:
        content = place.read_bytes()
        good = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == sibling.blob_id
    else:
        good = True
    if not good:
        place.unlink()  # or the next attempt would find it
        raise SourceUnavailable(f"{path} arrived with another hash than the hub states: try again")


class _Meter:
    """Adds up the bytes of all files from the bars that huggingface_hub draws, without drawing any."""

    def __init__(self, order: Order, total: int) -> None:
        self._order, self._total, self._done, self._current = order, total, 0, 0

    def finish(self, size: int) -> None:
        self._done, self._current = self._done + size, 0
        self._order.report(self._done, self._total)

    def advance(self, amount: float) -> None:
        self._current += int(amount)
        self._order.report(min(self._done + self._current, self._total), self._total)

    def bar(self) -> type[_Bar]:
        return type("_BoundBar", (_Bar,), {"meter": self})


class _Bar:
    """What huggingface_hub expects of a tqdm class."""

    meter: _Meter

    def __init__(self, *_: object, total: float | None = None, initial: float = 0, **__: object) -> None:
        self.total, self.n = total, initial
        self.disable = True

    def update(self, amount: float | None = 1) -> None:
        self.n += amount or 0
        self.meter.advance(amount or 0)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def close(self) -> None:
        return None

    def refresh(self, *_: object, **__: object) -> None:
        return None

    def set_description(self, *_: object, **__: object) -> None:
        return None

    def set_postfix_str(self, *_: object, **__: object) -> None:
        return None
