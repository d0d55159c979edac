"""`zoo predict` with recordings: text, labels, times and subtitles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from tests.api.canned_service import LISTED, TICKETS, CannedService, canned_service
from tests.api.hearing import Hearing, noise

PATH, SUBTITLES = "/v1/models/ears/predict", "/v1/audio/transcriptions"
EARS = LISTED | {"id": "ears", "modality": "audio", "task": "automatic-speech-recognition", "labels": []}
SRT = "1\n00:00:00,000 --> 00:00:01,500\nGood morning.\n"


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        running.says("GET", "/v1/models/ears", EARS)
        yield running


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(noise())
    return path


def zoo(url: str, *words: object) -> Result:
    return CliRunner().invoke(app, ["predict", "ears", *map(str, words), "--url", url])


def test_the_file_goes_as_it_is_and_text_comes_back(service: CannedService, talk: Path) -> None:
    service.says("POST", PATH, {"text": "Good morning."})
    result = zoo(service.url, talk)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "  Good morning."
    assert service.asked("POST", PATH)[0].body == talk.read_bytes()


def test_times_stand_before_what_was_said(service: CannedService, talk: Path) -> None:
    service.says("POST", PATH, {"text": "Good.", "chunks": [{"text": " Good.", "timestamp": [0.0, 61.5]}]})
    result = zoo(service.url, talk, "--parameters", '{"return_timestamps": true}')
    assert result.stdout.splitlines()[-1].split() == ["0.00", "61.50", "Good."]


def test_labels_of_sounds_are_shown_as_those_of_pictures(service: CannedService, talk: Path) -> None:
    service.says("POST", PATH, [{"label": "dog", "score": 0.75}])
    assert zoo(service.url, talk).stdout.splitlines()[-1].split() == ["dog", "0.750", "█" * 18]


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_are_printed_and_nothing_else(service: CannedService, talk: Path, form: str) -> None:
    service.says("POST", SUBTITLES, SRT.encode())
    result = zoo(service.url, talk, f"--{form}", "--parameters", '{"language": "en"}')
    assert (result.exit_code, result.stdout) == (0, SRT)
    sent = service.asked("POST", SUBTITLES)[0].body
    assert talk.read_bytes() in sent
    for field, value in (("response_format", form), ("language", "en"), ("model", "ears")):
        assert f'name="{field}"\r\n\r\n{value}\r\n'.encode() in sent


def test_subtitles_as_json_are_a_string(service: CannedService, talk: Path) -> None:
    service.says("POST", SUBTITLES, SRT.encode())
    assert json.loads(zoo(service.url, talk, "--srt", "--json").stdout) == SRT


def test_a_refused_recording_is_a_line(service: CannedService, talk: Path) -> None:
    service.refuses("POST", SUBTITLES, 400, "invalid_audio", "The sound cannot be read.")
    result = zoo(service.url, talk, "--srt")
    assert (result.exit_code, result.stderr.strip()) == (65, "error: The sound cannot be read.")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["nowhere.mp3"], "there is no sound nowhere.mp3"),
        (["nowhere.mp3", "--srt"], "there is no sound nowhere.mp3"),
        ([".", "--vtt"], "is a folder; give its sounds"),
        (["a.mp3", "b.mp3", "--srt"], "--srt is for one recording at a time"),
        (["a.mp3", "--draw", "out.png"], "--draw is for pictures"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(service: CannedService, words: list[str], fault: str) -> None:
    result = zoo(service.url, *words)
    assert result.exit_code == 65
    assert fault in result.stderr
    assert {call.method for call in service.calls} == {"GET"}


def test_subtitles_are_for_recordings(service: CannedService) -> None:
    service.says("GET", "/v1/models/ears", TICKETS)
    result = zoo(service.url, "some text", "--srt")
    assert result.exit_code == 65
    assert "--srt is for recordings" in result.stderr


def test_a_real_service_writes_subtitles(ears: Hearing, talk: Path) -> None:
    assert " --> " in zoo(ears.url, talk, "--srt").stdout
    assert zoo(ears.url, talk, "--vtt").stdout.startswith("WEBVTT\n")
