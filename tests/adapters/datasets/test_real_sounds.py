"""Real zips of audio: what their READMEs count, in seconds, and no false alarm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from adapters.datasets import Limits, inspect_zip, split

DATA = Path(__file__).parents[3].parent / "shared" / "data"
LIMITS = Limits(rows=1_000_000, row_bytes=65536, labels=1000)

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not on this machine"),
]

# some clips of speech commands really are clipped, and two can hardly be heard
LABELS = [
    ("fsdd", "train", 2700, 10, "8000", {}),
    ("fsdd", "test", 300, 10, "8000", {}),
    ("speech_commands_small", "train", 1077, 3, "16000", {"clipped_audio": 21, "quiet_audio": 2}),
    ("speech_commands_small", "test", 273, 3, "16000", {"clipped_audio": 2}),
]
TRANSCRIPTS = [
    ("asr_kathleen", "train", 483, 1528, 0.41),
    ("asr_kathleen", "test", 100, 475, 0.09),
    ("yesno", "train", 44, 2, 0.07),
    ("yesno", "test", 16, 2, 0.03),
]


@pytest.mark.parametrize(("name", "part", "clips", "classes", "rate", "problems"), LABELS)
def test_real_clips_with_labels(
    name: str, part: str, clips: int, classes: int, rate: str, problems: dict[str, int]
) -> None:
    started = time.process_time()
    found = inspect_zip(DATA / name / f"{part}.zip", limits=LIMITS)
    report = found.report
    assert time.process_time() - started < 10
    assert (report.task, report.fatal) == ("audio-classification", None)
    assert (report.rows, report.usable_rows, len(report.labels)) == (clips, clips, classes)
    assert report.problem_counts == problems
    assert report.clips is not None and report.clips.rates == {rate: clips}
    labels = [example.stratum for example in found.examples]
    parts = split(labels, [example.content for example in found.examples], seed=0)
    for rows in (parts.train, parts.validation, parts.heldout):
        assert len({labels[row] for row in rows}) == classes


@pytest.mark.parametrize(("name", "part", "clips", "vocabulary", "hours"), TRANSCRIPTS)
def test_real_clips_with_transcripts(name: str, part: str, clips: int, vocabulary: int, hours: float) -> None:
    found = inspect_zip(DATA / name / f"{part}.zip", limits=LIMITS)
    report = found.report
    assert (report.task, report.fatal) == ("automatic-speech-recognition", None)
    assert (report.rows, report.usable_rows, report.problem_counts) == (clips, clips, {})
    assert report.transcripts is not None and report.transcripts.vocabulary == vocabulary
    assert report.clips is not None and round(report.clips.hours, 2) == hours
    assert all(example.values["text"] for example in found.examples)
