"""`zoo demo speech`: the story that it tells, and the recordings that come with it."""

from __future__ import annotations

import io
import json
import re
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from api.commands.demo_clips import LEARN, NEW, transcripts
from api.commands.demo_voices import Espeak
from api.word_errors import words
from tests.api.canned_service import LISTED, OFFERED, REPORT, RUNNING, SUCCEEDED, TICKETS, CannedService
from tests.api.demo_fakes import demo_service, run_demo
from tests.api.test_cli_report_sounds import HEARD, SAID
from zoo.errors import InvalidInput

RATES = {"heldout": {"rows": 9, "wer": 0.05, "cer": 0.02, "score": 0.9}, "before": {"wer": 0.4, "cer": 0.2}}
WORKSHOP = TICKETS | {"id": "workshop@1", "modality": "audio", "labels": [], "metrics": RATES}
SPOKEN = [text for _, text in transcripts(NEW)]
SRT = b"1\n00:00:00,000 --> 00:00:02,000\n" + SPOKEN[0].encode() + b"\n"


@pytest.fixture
def hall(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedService]:
    """A service whose recogniser takes the last two words of each note for others, until it has learnt them."""
    with demo_service(monkeypatch) as running:
        unsure = [{"text": " ".join([*text.split()[:-2], "some", "thing."])} for text in SPOKEN]
        running.says("GET", "/v1/models/whisper-tiny-en", OFFERED, LISTED | {"parity": TICKETS["parity"]})
        running.says("POST", "/v1/models/whisper-tiny-en/predict", *unsure)
        running.says("GET", "/v1/files/file-1/report", REPORT | HEARD | {"classes": [], "transcripts": SAID})
        running.says("GET", "/v1/jobs/ftjob-1", RUNNING, SUCCEEDED | {"fine_tuned_model": "workshop@1"})
        running.says("GET", "/v1/models/workshop@1", WORKSHOP)
        running.says("POST", "/v1/models/workshop@1/predict", *({"text": text} for text in SPOKEN))
        running.says("POST", "/v1/audio/transcriptions", SRT)
        yield running


def test_the_demo_of_speech_tells_the_whole_story(hall: CannedService, tmp_path: Path) -> None:
    result = run_demo(tmp_path, "speech")
    assert result.exit_code == 0, result.output
    told = [
        "Importing the pre-trained model whisper-tiny-en",
        "20 spoken notes",
        "72 other notes",
        "1,528 of 4,377 words",
        "before: the pre-trained model",
        "0.400",
        "→ 0.0%",
        "[some thing]",
        "1 subtitles",
        str(tmp_path / "home" / "demo" / "notes.srt"),
        "--srt",
        "-F model=workshop",
        "zoo adapt whisper-tiny-en",
    ]
    assert [part for part in told if part not in result.stdout.replace("\n", " ")] == []


def test_three_sentences_stand_side_by_side(hall: CannedService, tmp_path: Path) -> None:
    said, before, after = _sides(run_demo(tmp_path, "speech").stdout)
    assert len(said) == len(before) == 3
    assert after == said
    assert all(line.endswith("[some thing].") for line in before)
    assert set(said) <= set(SPOKEN)


def _sides(told: str) -> tuple[list[str], list[str], list[str]]:
    said, before, after = (re.findall(rf"^  {name} +(.+)$", told, re.MULTILINE) for name in ("said", "before", "after"))
    return said, before, after


def test_the_clips_to_learn_from_are_uploaded_and_all_but_seed_and_epochs_is_automatic(
    hall: CannedService, tmp_path: Path
) -> None:
    run_demo(tmp_path, "speech")
    body = hall.asked("POST", "/v1/files")[0].body
    sent = zipfile.ZipFile(io.BytesIO(body[body.index(b"PK") : body.rindex(b"PK") + 22]))
    assert len(sent.namelist()) == 73
    assert "metadata.jsonl" in sent.namelist()
    asked = hall.asked("POST", "/v1/fine_tuning/jobs")[0].json()
    assert asked.pop("hyperparameters") == {"n_epochs": 4}
    assert asked == {"model": "whisper-tiny-en", "training_file": "file-1", "suffix": "workshop", "seed": 1}


def test_the_recording_holds_all_notes_and_lies_beside_its_subtitles(hall: CannedService, tmp_path: Path) -> None:
    run_demo(tmp_path, "speech")
    home = tmp_path / "home" / "demo"
    assert (home / "notes.srt").read_bytes() == SRT
    with wave.open(str(home / "notes.wav")) as recording:
        assert (recording.getframerate(), recording.getnchannels()) == (16_000, 1)
        seconds = recording.getnframes() / 16_000
    apart = sum(soundfile.info(path).duration for path, _ in transcripts(NEW))
    assert seconds == pytest.approx(apart + 20 * 0.8, abs=0.01)
    assert b'name="model"\r\n\r\nworkshop@1' in hall.asked("POST", "/v1/audio/transcriptions")[0].body


def test_json_has_the_rates_before_and_after(hall: CannedService, tmp_path: Path) -> None:
    data = json.loads(run_demo(tmp_path, "speech", "--json").stdout)
    [rates] = data["compared"].values()
    assert rates["before"] > rates["after"] == 0.0
    assert (data["before"], data["after"]) == ({"wer": 0.4, "cer": 0.2}, {"rows": 9, "wer": 0.05, "cer": 0.02})


# ---- the recordings


@pytest.mark.parametrize("folder", [LEARN, NEW])
def test_every_clip_has_its_words_and_is_a_short_mono_recording(folder: Path) -> None:
    clips = dict(transcripts(folder))
    assert sorted(clips) == sorted(folder.glob("*.ogg"))
    assert len(set(clips.values())) == len(clips)
    for path in clips:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels) == (16_000, 1)
        assert 1.0 < info.duration < 6.0


def test_the_clips_are_small_together() -> None:
    assert sum(path.stat().st_size for folder in (LEARN, NEW) for path in folder.iterdir()) < 1_500_000


def test_new_sentences_have_the_words_of_the_trade_and_are_new() -> None:
    learnt, new = ([text for _, text in transcripts(folder)] for folder in (LEARN, NEW))
    assert not set(learnt) & set(new)
    vocabulary = {word for text in learnt for word in words(text)}
    trade = {"mirovane", "quellite", "brennix", "okari", "zandolite", "sprindle", "grappet", "thornel", "drevit"}
    assert trade <= vocabulary
    assert trade <= {word for text in new for word in words(text)}


def test_without_espeak_the_voices_say_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="espeakng-loader"):
        Espeak(tmp_path)
