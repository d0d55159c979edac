"""Zips of audio in the store: inspected at upload, their facts kept beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.datasets import FileRecord, FileStore
from adapters.datasets.sounds import fact
from tests.adapters.datasets.clips import classes, clip, listing, spoken
from tests.adapters.datasets.zips import pack
from zoo.errors import NotFound

Upload = Callable[..., FileRecord]


def test_a_zip_is_inspected_at_upload_and_its_examples_are_read_from_it(
    tmp_path: Path, store: FileStore, upload: Upload
) -> None:
    record = upload(pack(classes()), filename="words.zip")
    assert (record.status, record.format, record.needs_worker) == ("processed", "zip", False)
    assert store.report(record.id).task == "audio-classification"
    assert [example.read("audio") for example in store.examples(record.id)] == list(classes().values())
    kept = sorted(path.name for path in (tmp_path / "files").rglob("*") if path.is_file())
    assert kept == ["data", "file.json", "report.json", "survey.jsonl"]


def test_audio_has_no_contact_sheet(store: FileStore, upload: Upload) -> None:
    with pytest.raises(NotFound) as caught:
        store.contact_sheet_path(upload(pack(classes())).id)
    assert caught.value.code == "contact_sheet_not_found"


def test_clips_are_decoded_once(store: FileStore, upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    record = upload(pack(spoken() | {"0.wav": b""}, method=8))
    first = list(store.examples(record.id))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(fact, "blocks", refuse)
    monkeypatch.setattr(fact, "sound_info", refuse)
    assert store.revalidate(record.id) == store.report(record.id)
    assert list(store.examples(record.id)) == first


def test_more_audio_than_a_request_may_decode_waits_for_a_worker(
    store: FileStore, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fact, "INLINE_SECONDS", 1.2)
    record = upload(pack(classes()))
    assert (record.status, record.needs_worker) == ("uploaded", True)
    seen: list[tuple[int, int]] = []
    report = store.inspect(record.id, progress=lambda done, total: seen.append((done, total)))
    assert report.usable_rows == 6
    assert seen == [(0, 3), (1, 3), (2, 3)]
    assert store.get(record.id).status == "processed"


def test_facts_of_another_release_are_measured_anew(store: FileStore, upload: Upload, tmp_path: Path) -> None:
    record = upload(pack(classes()))
    (path,) = (tmp_path / "files").rglob("survey.jsonl")
    path.write_text('["audio", "no/0.wav", 1, 2, "WAV"]\n["smell", "no/0.wav", {}]\n')
    assert store.revalidate(record.id) == store.report(record.id)


def test_equal_audio_has_equal_content_in_whatever_format(store: FileStore, upload: Upload) -> None:
    record = upload(pack(classes() | {"no/x.wav": clip(7), "no/y.flac": clip(7, kind="FLAC")}))
    contents = [example.content for example in store.examples(record.id)]
    assert len(contents) == 8 and len(set(contents)) == 7


def test_a_sentence_read_twice_stays_on_one_side_where_most_sentences_differ(store: FileStore, upload: Upload) -> None:
    record = upload(pack(spoken({"x.wav": "the ship sailed out at dawn"}, seconds=1.0), method=8))
    contents = [example.content for example in store.examples(record.id)]
    assert len(contents) == 7 and len(set(contents)) == 6


def test_a_few_words_said_over_and_over_are_on_all_sides(store: FileStore, upload: Upload) -> None:
    files: dict[str, bytes | str] = {f"{place}.wav": clip(place) for place in range(10)}
    said = listing({name: ("yes", "no")[place % 2] for place, name in enumerate(files)})
    record = upload(pack(files | {"metadata.csv": said}))
    assert len({example.content for example in store.examples(record.id)}) == 10
