"""Weights that are spread over several safetensors files, and the index that says which file holds what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from zoo.catalogue.tensors import read_header
from zoo.errors import InvalidInput

WHOLE = "model.safetensors"
INDEX = f"{WHOLE}.index.json"
_SHARD = re.compile(r"model-([0-9]{5})-of-([0-9]{5})\.safetensors")


def shards_in(paths: Iterable[str]) -> list[str]:
    """Of the files of a repository the shards of its weights, in their order; none where it has no shards.

    ``InvalidInput`` (``invalid_checkpoint``) names a shard, or the index, that is missing.
    """
    present = set(paths)
    numbered = [found for path in present if (found := _SHARD.fullmatch(path))]
    if not numbered:
        return []
    count = max(int(found[2]) for found in numbered)
    wanted = [f"model-{place:05}-of-{count:05}.safetensors" for place in range(1, count + 1)]
    for path in (*wanted, INDEX):
        if path not in present:
            raise _incomplete(f"{path} is missing")
    return wanted


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights: one, or its shards in their order."""
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    return [folder / path for path in shards_in(path.name for path in folder.iterdir())] or [folder / WHOLE]


def check_index(folder: Path) -> None:
    """Compare the index, if the weights have one, with the headers of the shards, which are all that is read.

    ``InvalidInput``: ``unsafe_source`` for an index that names other files, whatever they are, as whoever loads the
    weights follows it; ``invalid_checkpoint`` for one that is none or names a tensor that its shard lacks.
    """
    if (folder / WHOLE).is_file() or not (folder / INDEX).is_file():
        return
    shards = shards_in(path.name for path in folder.iterdir())
    places = _places(folder / INDEX)
    if strangers := set(places.values()) - set(shards):
        shown = min(strangers)[:64] if min(strangers).isprintable() else "a name that cannot be shown"
        raise InvalidInput(
            f"{INDEX} says that weights are in {shown}, which is no shard of them, so all of it is refused",
            code="unsafe_source",
        )
    held = {shard: read_header(folder / shard).keys() for shard in shards}
    for tensor, shard in places.items():
        if tensor not in held[shard]:
            raise _incomplete(f"{tensor[:128]} is not in {shard}, where {INDEX} says that it is")


def _places(index: Path) -> Mapping[str, str]:
    """Tensor -> shard. transformers needs ``metadata`` beside it, so an index without is refused here."""
    try:
        content = json.loads(index.read_bytes())
        places = content["weight_map"]
        if not isinstance(content["metadata"], dict) or not all(type(shard) is str for shard in places.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{INDEX} is no index of shards: it needs weight_map, tensor to file, and metadata"
        raise InvalidInput(message, code="invalid_checkpoint") from error
    found: dict[str, str] = places
    return found


def _incomplete(fault: str) -> InvalidInput:
    message = f"its weights are incomplete: {fault}. Use a repository, or a revision, that holds all of them"
    return InvalidInput(message, code="invalid_checkpoint")
