"""What is wrong with a zip of audio is said by the name of the clip at fault."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from adapters.datasets import Report
from tests.adapters.datasets.clips import SENTENCES, classes, clip, listing, noise, saved, spoken
from tests.adapters.datasets.conftest import InspectZip

GOOD = classes()


def said(report: Report, code: str) -> str:
    """The message and the fix of the only problem with this code."""
    (found,) = [problem for problem in report.problems if problem.code == code]
    return f"{found.message} {found.fix}"


def long_flac(seconds: int) -> bytes:
    target = io.BytesIO()
    with soundfile.SoundFile(target, "w", 8000, 1, format="FLAC") as sink:
        for _ in range(seconds // 10):
            sink.write(np.zeros(80000, dtype=np.float32))
    return target.getvalue()


def patched(data: bytes, place: int, value: int, form: str = "<I") -> bytes:
    """The file with another number at ``place`` behind the name of the chunk fmt."""
    at = data.index(b"fmt ") + 8 + place
    packed = struct.pack(form, value)
    return data[:at] + packed + data[at + len(packed) :]


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "invalid_audio"),
    "text": (b"this is no sound at all\n" * 20, "unsupported_media_type"),
    "m4a": (b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(200), "unsupported_media_type"),
    "cut": (clip(1)[:-2000], "invalid_audio"),
    "header": (clip(1)[:20], "invalid_audio"),
    "no samples": (saved(np.zeros(0, dtype=np.float32)), "invalid_audio"),
    "rate of 1 Hz": (patched(patched(clip(1), 4, 1), 8, 2), "invalid_audio"),
    "an hour": (long_flac(3600), "audio_too_long"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_clip_that_cannot_be_read_is_named_and_left_out(inspect_zip: InspectZip, case: str) -> None:
    data, code = UNREADABLE[case]
    report = inspect_zip(GOOD | {"no/bad.wav": data})
    assert (report.rows, report.usable_rows, report.problem_counts) == (7, 6, {code: 1})
    assert said(report, code).startswith("no/bad.wav: ")


FAULTS: dict[str, tuple[bytes, str]] = {
    "silent": (saved(np.zeros(4000, dtype=np.float32)), "silent_audio"),
    "offset": (saved(np.full(4000, 0.25, dtype=np.float32)), "silent_audio"),
    "short": (clip(1, 0.04), "audio_too_short"),
    "rate": (patched(clip(1), 4, 16000), "rate_mismatch"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_clip_that_holds_nothing_to_learn_is_named_and_left_out(inspect_zip: InspectZip, case: str) -> None:
    data, code = FAULTS[case]
    report = inspect_zip(GOOD | {"no/bad.wav": data})
    assert (report.usable_rows, report.problem_counts) == (6, {code: 1})
    assert said(report, code).startswith("no/bad.wav: ")


def test_the_message_on_a_wrong_rate_says_both(inspect_zip: InspectZip) -> None:
    report = inspect_zip(GOOD | {"no/bad.wav": FAULTS["rate"][0]})
    assert "says 16000 Hz, but bytes for 8000 Hz" in said(report, "rate_mismatch")


def test_the_message_on_a_long_clip_says_how_long_and_what_to_do(inspect_zip: InspectZip) -> None:
    found = said(inspect_zip(GOOD | {"no/bad.flac": long_flac(3600)}), "audio_too_long")
    assert "3,600 s" in found and "at most 60" in found and "Cut it into parts" in found


def test_a_class_of_silence_keeps_its_silent_clips(inspect_zip: InspectZip) -> None:
    silence = {f"silence/{place}.wav": saved(np.zeros(4000 + place, dtype=np.float32)) for place in range(3)}
    report = inspect_zip(GOOD | silence)
    assert (report.usable_rows, report.labels, report.problem_counts) == (9, ("no", "silence", "yes"), {})


@pytest.mark.parametrize(
    ("loudness", "code"), [(3.0, "clipped_audio"), (0.0005, "quiet_audio")], ids=["clipped", "quiet"]
)
def test_a_clip_that_was_badly_recorded_is_named_and_kept(inspect_zip: InspectZip, loudness: float, code: str) -> None:
    samples = np.clip(noise(5, loudness=loudness), -1, 0.99997)
    report = inspect_zip(GOOD | {"no/bad.wav": saved(samples)})
    assert (report.usable_rows, report.problem_counts) == (7, {code: 1})
    assert said(report, code).startswith("no/bad.wav: ")


def test_a_clip_whose_loudest_sample_is_at_full_scale_is_not_clipped(inspect_zip: InspectZip) -> None:
    samples = noise(5)
    report = inspect_zip(GOOD | {"no/loud.wav": saved(samples / np.abs(samples).max() * 0.99997)})
    assert report.problem_counts == {}


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_the_same_audio_under_two_labels_is_left_out(inspect_zip: InspectZip, kind: str) -> None:
    report = inspect_zip(GOOD | {"no/x.wav": clip(7), f"yes/y.{kind.lower()}": clip(7, kind=kind)})
    assert (report.usable_rows, report.conflicting_rows) == (6, 2)
    assert report.conflicts[0].labels == ("no", "yes")
    assert report.conflicts[0].files == ("no/x.wav", f"yes/y.{kind.lower()}")
    assert "no/x.wav" in said(report, "conflicting_labels")


def test_the_same_audio_twice_under_one_label_is_kept_on_one_side(inspect_zip: InspectZip) -> None:
    report = inspect_zip(GOOD | {"no/x.wav": clip(7), "no/y.wav": clip(7)})
    assert (report.usable_rows, report.problem_counts) == (8, {"duplicate_clips": 1})
    assert (report.duplicates.groups, report.duplicates.rows) == (1, 1)


def test_a_class_without_a_usable_clip_is_named(inspect_zip: InspectZip) -> None:
    report = inspect_zip(GOOD | {"maybe/x.wav": b""})
    assert "'maybe'" in said(report, "empty_class") and "Add clips of it" in said(report, "empty_class")


def test_one_class_is_not_enough(inspect_zip: InspectZip) -> None:
    fatal = inspect_zip(classes(names=("no",))).fatal
    assert fatal is not None and fatal.code == "one_label"
    assert "All 3 clips" in fatal.message


def test_the_report_shows_hours_rates_channels_and_formats(inspect_zip: InspectZip) -> None:
    stereo = saved(np.stack([noise(1, 1.0, 16000), noise(2, 1.0, 16000)], axis=1), 16000, "OGG")
    clips = inspect_zip(GOOD | {"no/x.ogg": stereo}).clips
    assert clips is not None
    assert (clips.count, clips.rates, clips.channels) == (7, {"8000": 6, "16000": 1}, {"1": 6, "2": 1})
    assert (clips.formats, clips.hours) == ({"WAV": 6, "OGG": 1}, 0.0011)
    assert (clips.milliseconds.min, clips.milliseconds.median, clips.milliseconds.max) == (500, 500, 1000)


@pytest.mark.parametrize("text", ["...", "?!", "– —"])
def test_a_transcript_without_letters_is_named_and_left_out(inspect_zip: InspectZip, text: str) -> None:
    report = inspect_zip(spoken({"x.wav": text}))
    assert (report.usable_rows, report.problem_counts) == (6, {"transcript_without_letters": 1})
    assert said(report, "transcript_without_letters").startswith("x.wav: ")


@pytest.mark.parametrize("text", ["4 7 1", "да", "三"])
def test_digits_and_letters_of_any_script_are_transcripts(inspect_zip: InspectZip, text: str) -> None:
    assert inspect_zip(spoken({"x.wav": text})).usable_rows == 7


def test_an_empty_transcript_is_named_by_its_line(inspect_zip: InspectZip) -> None:
    report = inspect_zip(spoken({"x.wav": ""}))
    assert (report.rows, report.usable_rows) == (7, 6)
    assert said(report, "empty_text").startswith("metadata.csv: Line 8: ")


def test_the_same_audio_under_two_transcripts_is_left_out(inspect_zip: InspectZip) -> None:
    files = spoken({"x.wav": "One thing.", "y.wav": "Another thing."})
    report = inspect_zip(files | {"x.wav": clip(77), "y.wav": clip(77)})
    assert (report.usable_rows, report.conflicting_rows) == (6, 2)
    assert report.conflicts[0].files == ("x.wav", "y.wav")
    found = said(report, "conflicting_transcripts")
    assert "x.wav, y.wav: the same clip" in found and "Another" not in found


def test_transcripts_that_differ_in_case_and_punctuation_do_not_conflict(inspect_zip: InspectZip) -> None:
    files = spoken({"x.wav": "One thing.", "y.wav": "one thing"})
    report = inspect_zip(files | {"x.wav": clip(77), "y.wav": clip(77)})
    assert (report.usable_rows, report.problem_counts) == (8, {"duplicate_clips": 1})


def test_a_clip_longer_than_a_recogniser_hears_is_named_and_left_out(inspect_zip: InspectZip) -> None:
    report = inspect_zip(spoken() | {"0.wav": clip(0, 31.0, 1000)})
    assert (report.usable_rows, report.problem_counts) == (5, {"audio_too_long": 1})
    assert "31.0 s; at most 30" in said(report, "audio_too_long")


def test_one_transcript_for_all_is_nothing_to_learn(inspect_zip: InspectZip) -> None:
    files = {f"{place}.wav": clip(place) for place in range(3)}
    fatal = inspect_zip(files | {"metadata.csv": listing(dict.fromkeys(files, "Hello."))}).fatal
    assert fatal is not None and fatal.code == "one_transcript"


def test_a_header_that_says_a_wrong_rate_shows_in_the_speech(inspect_zip: InspectZip) -> None:
    report = inspect_zip(spoken() | {"0.wav": saved(noise(0, 2.0, 8000), 24000)})
    found = said(report, "speech_rate")
    assert found.startswith("0.wav: ") and "24000 Hz were in truth 8000" in found
    assert report.usable_rows == 6


def test_clips_that_share_a_wrong_rate_are_judged_together(inspect_zip: InspectZip) -> None:
    wrong = {f"{place}.wav": saved(noise(place, 2.0, 8000), 16000) for place in range(6, 9)}
    files = spoken({name: SENTENCES[place] for place, name in enumerate(wrong)})
    report = inspect_zip(files | wrong)
    named = [problem.file for problem in report.problems if problem.code == "speech_rate"]
    assert named == ["6.wav", "7.wav", "8.wav"]


def test_the_report_shows_vocabulary_and_speech_rate(inspect_zip: InspectZip) -> None:
    report = inspect_zip(spoken())
    found = report.transcripts
    assert found is not None and report.lengths is not None
    assert (found.words, found.vocabulary, found.once) == (37, 33, 31)
    assert found.alphabet == ".INSTWabcdefghiklmnoprstuvwy"
    assert (found.words_per_minute.min, found.words_per_minute.max) == (180, 210)
    assert report.lengths.words.max == 7


def test_no_transcript_stands_in_the_report(inspect_zip: InspectZip) -> None:
    files = spoken({"x.wav": "One thing.", "y.wav": "Another thing."})
    text = inspect_zip(files | {"x.wav": clip(77), "y.wav": clip(77)}).model_dump_json()
    assert "sailed" not in text and "Another" not in text
