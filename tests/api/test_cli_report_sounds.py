"""The report on a zip of audio on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from tests.api.canned_service import FILE, REPORT, CannedService, canned_service

LASTS = {"min": 750, "median": 2980, "p95": 4420, "max": 6140}
CLIPS = {"count": 483, "bytes": 9_100_000, "hours": 0.4072, "milliseconds": LASTS, "formats": {"OGG": 480, "WAV": 3}}
CLIPS |= {"rates": {"16000": 480, "8000": 3}, "channels": {"1": 483}}
SPEED = {"min": 71, "median": 179, "p95": 232, "max": 317}
SAID = {"words": 4377, "vocabulary": 1528, "once": 1069, "characters": 5, "alphabet": "abc",
        "words_per_minute": SPEED, "letters_per_minute": SPEED}  # fmt: skip
HEARD = REPORT | {"format": "zip", "encoding": "", "lengths": None, "problems": [], "clips": CLIPS}


@pytest.fixture
def service() -> Iterator[CannedService]:
    with canned_service() as running:
        running.says("POST", "/v1/files", FILE)
        yield running


def shown(service: CannedService, folder: Path, report: dict[str, object]) -> str:
    (folder / "1.wav").write_bytes(b"RIFF")
    service.says("GET", "/v1/files/file-1/report", report)
    result = CliRunner().invoke(app, ["upload", str(folder), "--url", service.url])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_report_on_audio_has_hours_rates_and_formats(service: CannedService, tmp_path: Path) -> None:
    text = shown(service, tmp_path, HEARD)
    for line in (
        r"clips +483 of 9\.1 MB: 480 OGG, 3 WAV",
        r"length +0\.41 hours; median 2\.98 s, least 0\.75 s, most 6\.14 s",
        r"sample rates +16000 Hz: 480, 8000 Hz: 3",
        r"channels +1 in a clip",
        r"label +clips +share",
    ):
        assert re.search(line, text), line
    assert "vocabulary" not in text


def test_a_report_on_transcripts_has_vocabulary_and_speed(service: CannedService, tmp_path: Path) -> None:
    report = HEARD | {"task": "automatic-speech-recognition", "classes": [], "transcripts": SAID}
    text = shown(service, tmp_path, report)
    assert re.search(r"vocabulary +1,528 of 4,377 words, 1,069 of them once", text)
    assert re.search(r"words a minute +median 179, least 71, most 317", text)
