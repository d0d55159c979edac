"""Fetching from a model hub, through the real huggingface_hub client against a hub of this process."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.zoo.catalogue.checkpoints import COPIED, FILES, WEIGHTS, entry_of
from tests.zoo.catalogue.hub_server import COMMIT, Hub, hub_server
from zoo.catalogue.entry import HubSource
from zoo.catalogue.sources import fetch
from zoo.catalogue.store import Store
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


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What huggingface_hub would have slept, in seconds."""
    found: list[float] = []
    clock = SimpleNamespace(**{**vars(time), "sleep": found.append})
    for module in ("utils._http", "file_download"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time", clock)
    return found


def test_a_rate_limit_that_ends_soon_is_waited_for_between_files(
    hub: Hub, endpoint: str, tmp_path: Path, slept: list[float]
) -> None:
    hub.refused, hub.limit, hub.only_files = 2, {"Retry-After": "240"}, True
    assert fetch(entry_of(SOURCE), tmp_path / "target", endpoint=endpoint).revision == COMMIT
    assert (hub.refused, slept) == (0, [241.0])


@pytest.mark.parametrize("only_files", [False, True], ids=["at-once", "at-the-first-file"])
@pytest.mark.parametrize(
    ("limit", "said", "seconds"),
    [
        ({"Retry-After": "1800"}, "try again in 1800 s", 1800),
        ({"RateLimit": '"api";r=0;t=900'}, "try again in 900 s", 900),
        ({"RateLimit": '"api";r=7;t=900'}, "wait some minutes", 300),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, "wait some minutes", 300),
        ({}, "wait some minutes", 300),
    ],
    ids=["seconds", "window", "of-another-window", "date", "nothing"],
)
def test_a_longer_rate_limit_is_told_with_its_end(
    hub: Hub,
    endpoint: str,
    tmp_path: Path,
    slept: list[float],
    *,
    limit: dict[str, str],
    said: str,
    seconds: float,
    only_files: bool,
) -> None:
    hub.refused, hub.limit, hub.only_files = 9, limit, only_files
    error = _fails(endpoint, tmp_path / "target")
    assert isinstance(error, SourceUnavailable) and error.retry_after == seconds
    assert said in error.message and "HF_TOKEN" in error.message
    assert max(slept, default=0) < 60


def test_a_fault_at_the_first_file_is_not_taken_for_a_wrong_revision(
    hub: Hub, endpoint: str, tmp_path: Path, slept: list[float]
) -> None:
    hub.status, hub.only_files = 503, True
    error = _fails(endpoint, tmp_path / "target")
    assert (error.code, "status 503" in error.message) == ("upstream_unavailable", True)


def test_a_download_that_breaks_off_goes_on_where_it_was(
    hub: Hub, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 16)  # bytes that are kept, else 10 MB
    seen: list[tuple[int, int]] = []
    hub.cut = {"model.safetensors": 40}
    fetch(entry_of(SOURCE), tmp_path / "target", endpoint=endpoint, progress=lambda *step: seen.append(step))
    assert hub.ranges == ["bytes=32-"]
    assert (tmp_path / "target" / "model.safetensors").read_bytes() == WEIGHTS
    assert seen[-1][0] == seen[-1][1] == sum(len(FILES[path]) for path in COPIED)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_another_attempt_takes_the_whole_files_of_the_one_that_failed(hub: Hub, endpoint: str, tmp_path: Path) -> None:
    store, whole = Store(tmp_path), "model.safetensors"
    hub.lies = {whole: b"damaged" * 9}
    with pytest.raises(SourceUnavailable):
        fetch(entry_of(SOURCE), tmp_path / "first", endpoint=endpoint, download=store.download)
    hub.lies, hub.asked = {}, []
    fetched = fetch(entry_of(SOURCE), tmp_path / "second", endpoint=endpoint, download=store.download)
    assert [file.path for file in fetched.files] == COPIED
    assert [path.rpartition("/")[2] for path in hub.asked if "/resolve/" in path] == [whole, whole]  # HEAD, GET
    assert not list((tmp_path / "staging").iterdir())


def test_files_of_a_repository_that_is_refused_are_not_kept(hub: Hub, endpoint: str, tmp_path: Path) -> None:
    hub.files = {**FILES, "config.json": b'{"auto_map": {"AutoModel": "own.Model"}}'}
    with pytest.raises(InvalidInput):
        fetch(entry_of(SOURCE, files={}), tmp_path / "first", endpoint=endpoint, download=Store(tmp_path).download)
    assert not list((tmp_path / "staging").iterdir())


def test_two_who_download_the_same_do_not_share_a_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.download("tiny/bert") as one, store.download("tiny/bert") as other:
        assert one != other
    assert not list((tmp_path / "staging").iterdir())


def test_an_unreachable_hub_is_a_source_that_failed(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = _fails(f"http://127.0.0.1:{closed.getsockname()[1]}", tmp_path / "target")
    assert isinstance(error, SourceUnavailable)
    assert "cannot be reached" in error.message


def test_the_copied_weights_are_the_ones_of_the_hub(endpoint: str, tmp_path: Path) -> None:
    fetch(entry_of(SOURCE), tmp_path / "target", endpoint=endpoint)
    assert (tmp_path / "target" / "model.safetensors").read_bytes() == WEIGHTS
