"""Fetching from a model hub, through the real huggingface_hub client against a hub of this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.zoo.catalogue.checkpoints import COPIED, FILES, WEIGHTS, entry_of
from tests.zoo.catalogue.hub_server import COMMIT, Hub, hub_server
from zoo.catalogue.entry import HubSource
from zoo.catalogue.sources import fetch
from zoo.errors import InvalidInput, SourceUnavailable, ZooError

SOURCE = HubSource(kind="hub", id="tiny/bert")


@pytest.fixture
def hub() -> Hub:
    return Hub(files=FILES)


@pytest.fixture
def endpoint(hub: Hub) -> Iterator[str]:
    with hub_server(hub) as address:
        yield address


def _fails(endpoint: str, target: Path) -> ZooError:
    with pytest.raises((InvalidInput, SourceUnavailable)) as caught:
        fetch(entry_of(SOURCE), target, endpoint=endpoint)
    assert endpoint not in caught.value.message
    return caught.value


def test_a_repository_is_pinned_to_its_commit_and_gives_data_files_only(
    hub: Hub, endpoint: str, tmp_path: Path
) -> None:
    fetched = fetch(entry_of(SOURCE), tmp_path / "target", endpoint=endpoint)
    assert (fetched.source, fetched.revision) == ("hub tiny/bert", COMMIT)
    assert [file.path for file in fetched.files] == COPIED
    found = [path.relative_to(tmp_path / "target").as_posix() for path in (tmp_path / "target").rglob("*.*")]
    assert sorted(found) == COPIED
    assert not any("pytorch_model" in path or ".py" in path for path in hub.asked)


def test_a_revision_is_asked_for_by_name(hub: Hub, endpoint: str, tmp_path: Path) -> None:
    source = HubSource(kind="hub", id="tiny/bert", revision="main")
    assert fetch(entry_of(source), tmp_path / "target", endpoint=endpoint).revision == COMMIT
    assert any(path.startswith("/api/models/tiny/bert/revision/main") for path in hub.asked)


def test_progress_adds_up_over_the_files(endpoint: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch(entry_of(SOURCE), tmp_path / "target", endpoint=endpoint, progress=lambda *step: seen.append(step))
    total = sum(len(FILES[path]) for path in COPIED)
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("path", ["model.safetensors", "vocab.txt"])
def test_bytes_other_than_the_hub_states_are_refused(hub: Hub, endpoint: str, tmp_path: Path, path: str) -> None:
    hub.lies = {path: FILES[path][:-1] + b"\x07"}
    error = _fails(endpoint, tmp_path / "target")
    assert isinstance(error, SourceUnavailable)
    assert path in error.message


def test_a_repository_of_pickles_is_refused_with_the_reason(hub: Hub, endpoint: str, tmp_path: Path) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."}
    with pytest.raises(InvalidInput) as caught:
        fetch(entry_of(SOURCE, files={}), tmp_path / "target", endpoint=endpoint)
    assert caught.value.code == "unsafe_weights"


def test_a_repository_whose_file_names_lead_elsewhere_is_refused(hub: Hub, endpoint: str, tmp_path: Path) -> None:
    hub.files = {**FILES, "../escaped.json": b"{}"}
    assert _fails(endpoint, tmp_path / "target").code == "unsafe_source"


@pytest.mark.parametrize(
    ("status", "error", "kind", "code", "fix"),
    [
        (403, "GatedRepo", InvalidInput, "gated_model", "HF_TOKEN"),
        (401, "RepoNotFound", InvalidInput, "unknown_source", "check the id"),
        (404, "RepoNotFound", InvalidInput, "unknown_source", "check the id"),
        (404, "RevisionNotFound", InvalidInput, "unknown_source", "revision"),
        (429, "", SourceUnavailable, "upstream_unavailable", "wait"),
        (500, "", SourceUnavailable, "upstream_unavailable", "later"),
    ],
)
def test_what_the_hub_refuses_is_said_with_the_fix(
    hub: Hub, endpoint: str, tmp_path: Path, status: int, error: str, kind: type[ZooError], code: str, fix: str
) -> None:
    hub.status, hub.error = status, error
    caught = _fails(endpoint, tmp_path / "target")
    assert (type(caught), caught.code) == (kind, code)
    assert fix in caught.message


def test_an_unreachable_hub_is_a_source_that_failed(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = _fails(f"http://127.0.0.1:{closed.getsockname()[1]}", tmp_path / "target")
    assert isinstance(error, SourceUnavailable)
    assert "cannot be reached" in error.message


def test_the_copied_weights_are_the_ones_of_the_hub(endpoint: str, tmp_path: Path) -> None:
    fetch(entry_of(SOURCE), tmp_path / "target", endpoint=endpoint)
    assert (tmp_path / "target" / "model.safetensors").read_bytes() == WEIGHTS
