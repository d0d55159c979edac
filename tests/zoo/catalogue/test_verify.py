"""A version is served only if every byte is as it was published; the others go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.zoo.catalogue.drafts import folder_of, publish
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.store import Store
from zoo.errors import ArtifactCorrupt


def _flip(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[2] ^= 1
    (folder / "model.onnx").write_bytes(data)


def _truncate(folder: Path) -> None:
    os.truncate(folder / "model.onnx", 3)


def _remove(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def _symlink(folder: Path) -> None:
    (folder / "model.onnx").rename(folder.parent / "elsewhere")
    (folder / "model.onnx").symlink_to(folder.parent / "elsewhere")


def _link_folder(folder: Path) -> None:
    (folder / "adapter").rename(folder.parent / "elsewhere")
    (folder / "adapter").symlink_to(folder.parent / "elsewhere")


def _hard_link(folder: Path) -> None:
    os.link(folder / "model.onnx", folder.parent / "second")


def _pipe(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")


def _no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _cut_manifest(folder: Path) -> None:
    os.truncate(folder / "manifest.json", 100)


def _link_manifest(folder: Path) -> None:
    (folder / "manifest.json").rename(folder.parent / "elsewhere")
    (folder / "manifest.json").symlink_to(folder.parent / "elsewhere")


def _change_manifest(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _wrong_hash(folder: Path) -> None:
    _change_manifest(folder, lambda manifest: manifest["files"][0].update(sha256="0" * 64))  # type: ignore[index]


def _other_version(folder: Path) -> None:
    _change_manifest(folder, lambda manifest: manifest.update(version=7))


@pytest.mark.parametrize(
    "damage",
    [_flip, _truncate, _remove, _symlink, _link_folder, _hard_link, _pipe]
    + [_no_manifest, _cut_manifest, _link_manifest, _wrong_hash, _other_version],
)
def test_damage_is_found_and_other_versions_are_untouched(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = Store(tmp_path)
    good, bad = publish(store), publish(store)
    damage(folder_of(tmp_path, bad))
    with pytest.raises(ArtifactCorrupt) as caught:
        store.verify(bad)
    assert caught.value.code == "artifact_corrupt"
    assert str(tmp_path) not in caught.value.message
    store.verify(good)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "..\\x", "a\0b", "C:/x", "a//b", "./a", ""])
def test_a_manifest_that_points_outside_its_folder_is_refused(tmp_path: Path, path: str) -> None:
    store = Store(tmp_path)
    folder = folder_of(tmp_path, publish(store))

    def point_outside(manifest: dict[str, object]) -> None:
        manifest["files"] = [{"path": path, "size": 1, "sha256": "0" * 64}]

    _change_manifest(folder, point_outside)
    with pytest.raises(ArtifactCorrupt):
        store.entry("tickets", 1)


def test_a_replaced_manifest_is_read_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    entry = publish(store)
    _cut_manifest(folder_of(tmp_path, entry))
    with pytest.raises(ArtifactCorrupt):
        store.entry("tickets", 1)


def test_a_truncated_file_is_noticed_by_the_listing_without_reading_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    entries: list[ModelEntry] = [publish(store), publish(store)]
    _truncate(folder_of(tmp_path, entries[1]))
    assert (store.versions("tickets"), store.broken("tickets")) == ([1], [2])


def test_a_link_in_place_of_the_version_folder_is_not_followed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    entry = publish(store)
    folder = folder_of(tmp_path, entry)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactCorrupt):
        store.verify(entry)
    assert Store(tmp_path).versions("tickets") == []
