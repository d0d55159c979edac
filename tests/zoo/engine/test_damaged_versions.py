"""Versions whose files were damaged on disk are not loaded; all others are served."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TinyZoo
from tests.zoo.engine.test_loader import label_of, loader_on, publish_with
from zoo.errors import ArtifactCorrupt


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def put_a_symlink_in_its_place(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def add_a_hard_link(path: Path) -> None:
    os.link(path, path.parent.parent / "elsewhere")


def remove(path: Path) -> None:
    path.unlink()


def spoil_the_manifest(path: Path) -> None:
    manifest = path.parent / "manifest.json"
    content = json.loads(manifest.read_text())
    for file in content["files"]:
        if file["path"] == path.name:
            file["sha256"] = "0" * 64
    manifest.write_text(json.dumps(content))


def remove_the_manifest(path: Path) -> None:
    (path.parent / "manifest.json").unlink()


def halve_the_manifest(path: Path) -> None:
    manifest = path.parent / "manifest.json"
    manifest.write_text(manifest.read_text()[:300])


DAMAGES = [
    flip_a_bit,
    cut_short,
    put_a_symlink_in_its_place,
    add_a_hard_link,
    remove,
    spoil_the_manifest,
    remove_the_manifest,
    halve_the_manifest,
]


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reference", ["mood", "mood@1", "mood@live"])
def test_a_damaged_version_is_not_loaded_and_the_others_are_served(
    own_zoo: TinyZoo, file: str, damage: Callable[[Path], None], reference: str
) -> None:
    damage(own_zoo.store.folder("mood", 1) / file)
    with loader_on(own_zoo) as loader:
        with pytest.raises(ArtifactCorrupt) as caught:
            asyncio.run(loader.predict(reference, "parcel", {}))
        assert caught.value.code == "artifact_corrupt"
        assert str(own_zoo.home) not in caught.value.message
        with pytest.raises(ArtifactCorrupt):
            loader.check(reference)
        assert asyncio.run(loader.predict("mini", "parcel", {})).items == 1
        assert [model.key for model in loader.loaded()] == ["mini@1"]


def test_a_damaged_version_leaves_the_one_before_it_served(own_zoo: TinyZoo) -> None:
    second = publish_with(own_zoo, ("x", "y", "z"), job="again")
    flip_a_bit(own_zoo.store.folder("mood", second.version) / "model.onnx")
    with loader_on(own_zoo) as loader:
        with pytest.raises(ArtifactCorrupt):
            loader.load("mood@2")
        assert label_of(loader, "mood@1") in ("bad", "good", "so-so")


def test_damage_to_what_serving_never_reads_keeps_nobody_from_an_answer(own_zoo: TinyZoo) -> None:
    flip_a_bit(own_zoo.store.folder("mood", 1) / "checkpoint" / "model.safetensors")
    with loader_on(own_zoo) as loader:
        assert asyncio.run(loader.predict("mood@1", "parcel", {})).entry.version == 1
    with pytest.raises(ArtifactCorrupt, match=r"checkpoint/model\.safetensors"):
        own_zoo.store.verify(own_zoo.store.entry("mood", 1))
