"""The store: whole versions or none, numbers given out once, aliases that never dangle."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tests.zoo.catalogue.drafts import draft, folder_of, publish
from zoo.catalogue.entry import ModelFile
from zoo.catalogue.store import Store
from zoo.errors import ArtifactCorrupt, InvalidInput, ModelNotFound, Unavailable


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_published_version_is_what_every_reader_sees(store: Store, tmp_path: Path) -> None:
    published = publish(store)
    other = Store(tmp_path)
    assert other.names() == ["tickets"]
    assert other.versions("tickets") == [1]
    assert other.entry("tickets", 1) == published
    assert (other.folder("tickets", 1) / "model.onnx").read_bytes() == b"graph"


def test_the_manifest_lists_every_file_with_size_and_hash(store: Store) -> None:
    assert publish(store).files == (
        ModelFile(
            path="adapter/adapter_config.json",
            size=2,
            sha256="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        ),
        ModelFile(
            path="model.onnx",
            size=5,
            sha256="eef93e1d14482804277fca0172464032d1a4fdbcc338524059fa1e861454ad4d",
        ),
    )


def test_what_publish_returns_passes_verification_even_with_tuples_in_its_options(store: Store) -> None:
    with store.staging() as staged:
        (staged / "model.onnx").write_bytes(b"x")
        entry = store.publish(staged, draft().model_copy(update={"options": {"sizes": (1, 2)}}))
    store.verify(entry)
    assert entry.options == {"sizes": [1, 2]}


def test_versions_count_up(store: Store) -> None:
    assert [publish(store).version for _ in range(3)] == [1, 2, 3]


def test_a_job_publishes_once_however_often_it_tries(store: Store) -> None:
    first = publish(store, job="ftjob-1", content=b"one")
    again = publish(store, job="ftjob-1", content=b"two")
    assert again == first
    assert store.versions("tickets") == [1]


def test_parallel_attempts_of_one_job_publish_once(store: Store, tmp_path: Path) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(publish(Store(tmp_path), job="ftjob-1").version)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 6
    assert store.versions("tickets") == [1]


def test_parallel_jobs_get_numbers_of_their_own(store: Store, tmp_path: Path) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda job=job: found.append(publish(Store(tmp_path), job=job).version))
        for job in "abcdef"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [1, 2, 3, 4, 5, 6]


def test_nothing_is_published_when_confirm_refuses(store: Store) -> None:
    def lost() -> None:
        raise Unavailable("lease lost")

    with store.staging() as staged, pytest.raises(Unavailable):
        (staged / "model.onnx").write_bytes(b"x")
        store.publish(staged, draft(), confirm=lost)
    assert store.names() == []
    assert publish(store).version == 1


def test_confirm_is_not_asked_when_the_job_has_published_already(store: Store) -> None:
    publish(store, job="ftjob-1")
    with store.staging() as staged:
        entry = store.publish(staged, draft(job="ftjob-1"), confirm=lambda: pytest.fail("asked"))
    assert entry.version == 1


def test_a_number_is_not_given_out_again_after_its_version_was_deleted(store: Store, tmp_path: Path) -> None:
    for _ in range(2):
        publish(store)
    store.delete("tickets", 2)
    assert Store(tmp_path).versions("tickets") == [1]
    assert publish(Store(tmp_path)).version == 3


def test_a_number_is_not_given_out_again_after_the_whole_model_was_deleted(store: Store, tmp_path: Path) -> None:
    publish(store)
    store.delete("tickets", None)
    assert store.names() == []
    assert publish(Store(tmp_path)).version == 2


def test_a_torn_folder_is_no_version_but_keeps_its_number(store: Store, tmp_path: Path) -> None:
    publish(store)
    (tmp_path / "models" / "tickets" / "2").mkdir()
    assert store.versions("tickets") == [1]
    assert store.broken("tickets") == [2]
    assert publish(store).version == 3


@pytest.mark.parametrize("trap", ["symlink", "hard link", "pipe", "linked folder", "backslash", "line break"])
def test_links_and_odd_names_among_the_staged_files_are_refused(store: Store, tmp_path: Path, trap: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    with store.staging() as staged:
        place = staged / "model.onnx"
        if trap == "symlink":
            place.symlink_to(secret)
        elif trap == "hard link":
            os.link(secret, place)
        elif trap == "pipe":
            os.mkfifo(place)
        elif trap == "linked folder":
            (staged / "adapter").symlink_to(tmp_path)
        else:
            (staged / {"backslash": "..\\model.onnx", "line break": "model\n.onnx"}[trap]).write_bytes(b"x")
        with pytest.raises(InvalidInput) as caught:
            store.publish(staged, draft())
    assert caught.value.code == "invalid_model"
    assert store.names() == []


@pytest.mark.parametrize(
    "name", ["../x", "..%2fx", "%2e%2e", "a\0b", "a" * 65, "\uff0e\uff0e", "CON", "", "a/b", "C:\\", "x\n"]
)
def test_a_name_that_is_none_never_reaches_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "listdir", lambda *_: pytest.fail("touched the disk"))
    monkeypatch.setattr(os, "lstat", lambda *_: pytest.fail("touched the disk"))
    for act in (store.versions, store.broken, store.aliases, lambda name: store.entry(name, 1)):
        with pytest.raises(InvalidInput) as caught:
            act(name)
        assert caught.value.code == "invalid_id"


def test_a_missing_version_is_not_found(store: Store) -> None:
    publish(store)
    for name, version in (("tickets", 2), ("other", 1)):
        with pytest.raises(ModelNotFound):
            store.entry(name, version)
        with pytest.raises(ModelNotFound):
            store.delete(name, version)


def test_an_alias_points_to_a_version_and_moves_in_one_step(store: Store, tmp_path: Path) -> None:
    for _ in range(2):
        publish(store)
    store.set_alias("tickets", "live", 1)
    store.set_alias("tickets", "live", 2)
    store.set_alias("tickets", "canary", 1)
    assert Store(tmp_path).aliases("tickets") == {"canary": 1, "live": 2}
    store.remove_alias("tickets", "live")
    assert store.aliases("tickets") == {"canary": 1}
    assert json.loads((tmp_path / "models" / "tickets" / "aliases.json").read_text()) == {"canary": 1}


def test_an_alias_cannot_point_to_nothing(store: Store) -> None:
    publish(store)
    with pytest.raises(ModelNotFound):
        store.set_alias("tickets", "live", 2)
    with pytest.raises(ModelNotFound):
        store.set_alias("unknown", "live", 1)
    with pytest.raises(ModelNotFound):
        store.remove_alias("tickets", "live")
    assert store.names() == ["tickets"]


@pytest.mark.parametrize("alias", ["3", "../x", "LIVE", ""])
def test_an_alias_that_could_be_a_version_or_a_path_is_refused(store: Store, alias: str) -> None:
    publish(store)
    with pytest.raises(InvalidInput) as caught:
        store.set_alias("tickets", alias, 1)
    assert caught.value.code == "invalid_id"


def test_deleting_a_version_takes_its_aliases_along(store: Store) -> None:
    for _ in range(2):
        publish(store)
    store.set_alias("tickets", "live", 2)
    store.set_alias("tickets", "old", 1)
    store.delete("tickets", 2)
    assert store.aliases("tickets") == {"old": 1}


def test_a_damaged_alias_file_is_reported_and_can_be_deleted_with_the_model(store: Store, tmp_path: Path) -> None:
    publish(store)
    (tmp_path / "models" / "tickets" / "aliases.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactCorrupt):
        store.aliases("tickets")
    store.delete("tickets", None)
    assert store.aliases("tickets") == {}


def test_a_staging_folder_disappears_with_its_owner(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), store.staging() as staged:
        (staged / "model.onnx").write_bytes(b"x")
        raise ZeroDivisionError
    assert list((tmp_path / "staging").iterdir()) == []


def test_left_overs_of_killed_processes_go_after_a_day_but_not_what_is_in_use(store: Store, tmp_path: Path) -> None:
    old = tmp_path / "staging" / "0123"
    old.mkdir(parents=True)
    (old / "model.onnx").write_bytes(b"x")
    fresh = tmp_path / "staging" / "4567"
    fresh.mkdir()
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    with store.staging() as used:
        os.utime(used, (yesterday, yesterday))
        with Store(tmp_path).staging():
            assert used.is_dir()
            assert fresh.is_dir()
            assert not old.exists()


def test_a_full_disk_says_so_and_leaves_nothing_torn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with store.staging() as staged:
        (staged / "model.onnx").write_bytes(b"x")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(Unavailable) as caught:
            store.publish(staged, draft())
    assert caught.value.code == "storage_full"
    assert store.names() == []


def test_the_folder_of_a_version_is_where_the_layout_says(store: Store, tmp_path: Path) -> None:
    entry = publish(store)
    assert store.folder("tickets", 1) == folder_of(tmp_path, entry)
