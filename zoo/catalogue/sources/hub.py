"""A checkpoint in a repository of the model hub, pinned to one commit.

Address, token and cache are those that huggingface_hub takes from its own settings (HF_ENDPOINT, HF_TOKEN, …).
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.catalogue.entry import HubSource
from zoo.catalogue.manifest import hash_file
from zoo.catalogue.sources.checkpoint import Order, select
from zoo.errors import InvalidInput, SourceUnavailable, ZooError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = 30.0


def copy_from_hub(source: HubSource, target: Path, order: Order, *, endpoint: str | None = None) -> str:
    """Copy the checkpoint to ``target`` and return the commit; every file is checked against the hub's own hash.

    ``InvalidInput`` for gated or unknown repositories and those without safetensors, else ``SourceUnavailable``.
    """
    # Imported here: it costs 0.3 s, and serving never needs it.
    from huggingface_hub import HfApi, hf_hub_download

    with _hub_errors():
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
    for path in chosen:
        with _hub_errors():
            hf_hub_download(
                source.id, path, revision=commit, local_dir=target, endpoint=endpoint, tqdm_class=meter.bar()
            )
        _check_hash(target / path, path, siblings[path])
        meter.finish(sizes[path])
    shutil.rmtree(target / ".cache", ignore_errors=True)
    return commit


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


@contextmanager
def _hub_errors() -> Iterator[None]:
    from huggingface_hub import errors

    try:
        yield
    except ZooError:
        raise
    except errors.GatedRepoError as error:
        raise InvalidInput(
            "its owner grants access on request: accept the terms on its page and set HF_TOKEN", code="gated_model"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InvalidInput(
            "the hub has no such repository, or it is private: check the id, or set HF_TOKEN", code="unknown_source"
        ) from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise InvalidInput("the hub has no such revision or file: check the revision", code="unknown_source") from error
    except errors.HfHubHTTPError as error:
        raise SourceUnavailable(_spoken_status(error.response)) from error
    except errors.HFValidationError as error:
        raise InvalidInput("that is no id of a hub repository", code="unknown_source") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            raise  # of the local disk
        raise SourceUnavailable(
            "the hub cannot be reached, or the connection broke: check the network and HF_ENDPOINT, then try again"
        ) from error


def _spoken_status(response: Any) -> str:
    status = int(response.status_code)
    if status == 429:
        return "the hub limits requests from here: wait some minutes, or set HF_TOKEN for a higher limit"
    if status in (401, 403):
        return "the hub refuses access: check HF_TOKEN"
    return f"the hub answered with status {status}: try again later"
