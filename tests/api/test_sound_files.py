"""Zips of audio over HTTP: what they are for is found, and the clip at fault is named."""

from __future__ import annotations

import httpx

from tests.adapters.datasets.clips import classes, spoken
from tests.adapters.datasets.zips import pack
from tests.api.test_picture_files import client, live, send

__all__ = ["client", "live"]


def test_a_zip_of_clips_in_folders_is_for_classification(client: httpx.Client) -> None:
    answer = send(client, pack(classes()), "words.zip")
    assert answer.status_code == 200, answer.text
    report = client.get(f"/v1/files/{answer.json()['id']}/report").json()
    assert (report["task"], report["usable_rows"]) == ("audio-classification", 6)
    assert report["clips"]["rates"] == {"8000": 6}


def test_a_zip_with_transcripts_is_for_recognition_and_names_the_clip_at_fault(client: httpx.Client) -> None:
    answer = send(client, pack(spoken() | {"3.wav": b"this is text"}), "talk.zip")
    report = client.get(f"/v1/files/{answer.json()['id']}/report").json()
    assert (report["task"], report["usable_rows"]) == ("automatic-speech-recognition", 5)
    (problem,) = report["problems"]
    assert (problem["file"], problem["code"]) == ("3.wav", "unsupported_media_type")


def test_clips_without_labels_are_refused_with_what_to_add(client: httpx.Client) -> None:
    answer = send(client, pack({"1.wav": classes()["no/0.wav"]}), "flat.zip")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_dataset")
    assert "a folder for each class" in answer.json()["error"]["message"]
