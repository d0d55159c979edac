"""Files that are brought beside a checkpoint, and checkpoints that ship with the zoo."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.zoo.catalogue.checkpoints import COPIED, FILES, WEIGHTS, digest, entry_of, write_folder, write_wheel
from zoo.catalogue.entry import CatalogueEntry, Companion, PackageSource, Source, StarterSource
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.sources import fetch, starter
from zoo.errors import InvalidInput, SourceUnavailable

NAMES = b"ant\nbee\n"
STARTER = {"config.json": b"{}", "model.safetensors": WEIGHTS, "README.md": b"# A card", "notes.md": b"more"}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index; it has a wheel with names of classes."""
    folder = tmp_path / "index"
    write_wheel(folder, extra={"tiny_weights/info/names.txt": NAMES, "tiny_weights/info/other.txt": b"x"})
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def _with_names(tmp_path: Path, files: Mapping[str, str] | None = None, *, version: str = "1.0") -> CatalogueEntry:
    source = PackageSource(kind="package", package="tiny-weights", version=version, root="tiny_weights/info")
    companion = Companion(source=source, files={"names.txt": digest(NAMES)} if files is None else dict(files))
    entry = entry_of(write_folder(tmp_path / "source"))
    return entry.model_copy(update={"companions": (companion,)})


def _copied(target: Path) -> list[str]:
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())


def test_a_companion_lies_beside_the_checkpoint_and_brings_nothing_else(tmp_path: Path) -> None:
    fetched = fetch(_with_names(tmp_path), tmp_path / "target")
    assert _copied(tmp_path / "target") == sorted([*COPIED, "names.txt"])
    assert (tmp_path / "target" / "names.txt").read_bytes() == NAMES
    assert {file.path: file.sha256 for file in fetched.files}["names.txt"] == digest(NAMES)
    assert fetched.source == "local folder"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "source", "target"]


@pytest.mark.parametrize(
    ("files", "version", "fault"),
    [
        ({"names.txt": "0" * 64}, "1.0", "names.txt should have the SHA-256"),
        ({"gone.txt": "0" * 64}, "1.0", "it has no gone.txt"),
        (None, "2.0", "has no wheel tiny-weights==2.0"),
    ],
)
def test_without_its_companion_nothing_of_a_model_is_left(
    tmp_path: Path, files: Mapping[str, str] | None, version: str, fault: str
) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        fetch(_with_names(tmp_path, files, version=version), tmp_path / "target")
    assert fault in caught.value.message
    assert "package tiny-weights" in caught.value.message
    assert _copied(tmp_path / "target") == []


def test_the_companion_that_is_pinned_wins_over_a_file_of_the_same_name(tmp_path: Path) -> None:
    entry = _with_names(tmp_path)
    write_folder(tmp_path / "source", {**FILES, "names.txt": b"something else"})
    fetched = fetch(entry, tmp_path / "target")
    assert (tmp_path / "target" / "names.txt").read_bytes() == NAMES
    assert [file.sha256 for file in fetched.files if file.path == "names.txt"] == [digest(NAMES)]


def test_a_raising_progress_stops_a_companion_too(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) > len(COPIED):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(_with_names(tmp_path), tmp_path / "target", progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "source", "target"]


def test_all_is_there_only_when_the_companion_is(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    entry = _with_names(tmp_path).model_copy(update={"size_mb": 90.0})
    fetched = fetch(entry, tmp_path / "target", progress=lambda *told: seen.append(told))
    own = sum(file.size for file in fetched.files if file.path != "names.txt")
    assert seen[len(COPIED) :] == [(own, 90_000_000)] * (len(seen) - len(COPIED) - 1) + [(90_000_000, 90_000_000)]
    assert len(seen) > len(COPIED) + 1


@pytest.fixture
def starters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "starters"
    write_folder(folder / "tiny", STARTER)
    monkeypatch.setattr(starter, "STARTERS", folder)
    return folder


def test_a_starter_is_copied_with_its_card_but_nothing_that_is_not_pinned(tmp_path: Path, starters: Path) -> None:
    pins = {name: digest(STARTER[name]) for name in ("config.json", "model.safetensors", "README.md")}
    fetched = fetch(entry_of(StarterSource(kind="starter"), files=pins), tmp_path / "target")
    assert _copied(tmp_path / "target") == ["README.md", "config.json", "model.safetensors"]
    assert (fetched.source, fetched.revision) == ("starter", "")


def test_a_starter_with_other_bytes_is_refused(tmp_path: Path, starters: Path) -> None:
    with pytest.raises(SourceUnavailable, match="should have the SHA-256"):
        fetch(entry_of(StarterSource(kind="starter"), files={"config.json": "0" * 64}), tmp_path / "target")


@pytest.mark.parametrize(("name", "files"), [("other", {"config.json": digest(b"{}")}), ("tiny", {})])
def test_a_starter_that_is_not_there_or_pins_nothing_is_refused(
    tmp_path: Path, starters: Path, name: str, files: dict[str, str]
) -> None:
    entry = entry_of(StarterSource(kind="starter"), files=files).model_copy(update={"name": name})
    with pytest.raises(InvalidInput) as caught:
        fetch(entry, tmp_path / "target")
    assert caught.value.code == "unknown_source"


def test_a_request_cannot_name_a_starter_as_its_source() -> None:
    source: TypeAdapter[Source] = TypeAdapter(Source)
    with pytest.raises(ValidationError, match="starter"):
        source.validate_python({"kind": "starter"})


@pytest.mark.parametrize("name", ["effnet-lite0", "vgg16"])
def test_networks_without_names_of_their_own_bring_those_of_imagenet(name: str) -> None:
    (companion,) = load_catalogue()[name].companions
    assert (companion.source.package, companion.source.root) == ("timm", "timm/data/_info")
    assert sorted(companion.files) == ["imagenet_synset_to_lemma.txt", "imagenet_synsets.txt"]


def test_the_features_of_effnet_come_from_the_same_bytes() -> None:
    entries = load_catalogue()
    features, classifier = entries["effnet-lite0-features"], entries["effnet-lite0"]
    assert (features.sources, features.files) == (classifier.sources, classifier.files)
    assert features.task == "image-feature-extraction"
