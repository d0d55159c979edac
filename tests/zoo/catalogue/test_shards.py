"""Weights in several files: all of them or a name for the one that is missing, and an index that leads nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from adapters.training.layouts.parts import read_weights
from tests.zoo.catalogue.checkpoints import entry_of, write_folder
from zoo.catalogue.sources import fetch
from zoo.errors import InvalidInput

INDEX = "model.safetensors.index.json"
SHARDS = tuple(f"model-0000{place}-of-00003.safetensors" for place in (1, 2, 3))
PLACES = dict(zip("abc", SHARDS, strict=True))


def index(places: object = PLACES, **more: object) -> bytes:
    return json.dumps({"metadata": {}, "weight_map": places, **more}).encode()


FILES: Mapping[str, bytes] = {
    "config.json": b"{}",
    INDEX: index(),
    "other.safetensors": save({"d": np.zeros(1, np.float32)}),
    **{shard: save({name: np.full(2, place, np.float16)}) for place, (name, shard) in enumerate(PLACES.items())},
}


def refused(tmp_path: Path, files: Mapping[str, bytes]) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        fetch(entry_of(write_folder(tmp_path / "source", files), files={}), tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []
    return caught.value


def test_shards_are_copied_with_their_index(tmp_path: Path) -> None:
    fetched = fetch(entry_of(write_folder(tmp_path / "source", FILES), files={}), tmp_path / "target")
    assert [file.path for file in fetched.files] == sorted({*FILES} - {"other.safetensors"})


def test_they_are_read_as_one(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES)
    weights = read_weights(tmp_path)
    assert {name: weight.tolist() for name, weight in weights.items()} == {"a": [0, 0], "b": [1, 1], "c": [2, 2]}
    assert {weight.dtype for weight in weights.values()} == {torch.float32}


def test_one_file_is_preferred_and_the_index_of_others_not_looked_at(tmp_path: Path) -> None:
    files = {**FILES, "model.safetensors": FILES["other.safetensors"], INDEX: index({"a": "../x"})}
    fetched = fetch(entry_of(write_folder(tmp_path / "source", files), files={}), tmp_path / "target")
    assert [file.path for file in fetched.files] == ["config.json", "model.safetensors", INDEX]
    assert set(read_weights(tmp_path / "target")) == {"d"}


@pytest.mark.parametrize("missing", [*SHARDS, INDEX])
def test_a_file_that_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    error = refused(tmp_path, {path: content for path, content in FILES.items() if path != missing})
    assert (error.code, f"{missing} is missing" in error.message) == ("invalid_checkpoint", True)


@pytest.mark.parametrize(
    "place",
    ["../../../etc/passwd", "/etc/passwd", "model.safetensors", "other.safetensors", "pytorch_model.bin", "\x1b[31m"],
)
def test_an_index_that_leads_elsewhere_is_refused(tmp_path: Path, place: str) -> None:
    error = refused(tmp_path, {**FILES, INDEX: index({**PLACES, "a": place})})
    assert error.code == "unsafe_source"
    assert "\x1b" not in error.message


def test_a_tensor_that_its_shard_lacks_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, {**FILES, INDEX: index({**PLACES, "d": SHARDS[1]})})
    assert (error.code, f"d is not in {SHARDS[1]}" in error.message) == ("invalid_checkpoint", True)


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{}", index([]), index({"a": 1}), index(None), index(metadata=None), b'{"weight_map": {}}'],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    error = refused(tmp_path, {**FILES, INDEX: content})
    assert (error.code, "weight_map" in error.message) == ("invalid_checkpoint", True)


def test_a_damaged_shard_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, {**FILES, SHARDS[1]: FILES[SHARDS[1]][:-1]})
    assert (error.code, SHARDS[1] in error.message) == ("unsafe_weights", True)
