"""Sound to mono samples: formats, rates and channels; blocks; files that lie, are cut off or are none."""

from __future__ import annotations

import base64
import resource
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from tests.zoo.tasks.processors.sound_files import announcing, silent_flac, sound_of, tone, wav
from zoo.errors import InvalidInput, TooLarge, Unsupported, ZooError
from zoo.tasks.processors.sound import SAMPLE, blocks, open_sound, read_sound, sound_info

KINDS = [
    ("WAV", None),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("FLAC", None),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", None),
]


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_every_format_gives_the_sound_that_went_in(kind: str, subtype: str | None) -> None:
    samples = tone(1.0)
    opened = open_sound(sound_of(samples, kind, subtype=subtype), rate=16_000, most_seconds=30)
    assert opened.dtype == np.float32 and abs(len(opened) - len(samples)) < 2400
    spectrum = np.abs(np.fft.rfft(opened[2000:14_000]))
    assert np.argmax(spectrum) * 16_000 / 12_000 == pytest.approx(440, abs=2)
    assert np.abs(opened[4000:12_000]).max() == pytest.approx(0.5, abs=0.08)


def test_pcm_is_read_exactly() -> None:
    samples = np.array([0, 0.5, -0.5, 0.25], dtype=np.float32)
    np.testing.assert_array_equal(open_sound(sound_of(samples), rate=16_000, most_seconds=1), samples)


def test_channels_are_mixed_by_their_mean() -> None:
    samples = np.stack([np.full(100, 0.5), np.full(100, -0.25), np.zeros(100)], axis=1).astype(np.float32)
    opened = open_sound(sound_of(samples, subtype="FLOAT"), rate=16_000, most_seconds=1)
    np.testing.assert_allclose(opened, np.full(100, 0.25 / 3), atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_another_rate_is_resampled_as_soxr_does_it(rate: int) -> None:
    samples = tone(1.0, rate=rate)
    opened = open_sound(sound_of(samples, rate=rate, subtype="FLOAT"), rate=16_000, most_seconds=2)
    expected = soxr.resample(samples, rate, 16_000, quality="HQ")
    assert len(opened) == len(expected) == 16_000
    np.testing.assert_allclose(opened, expected, atol=1e-6)


def test_its_own_rate_is_kept_where_asked_for() -> None:
    sound = read_sound(sound_of(tone(1.0, rate=44_100), rate=44_100), most_seconds=2)
    assert (sound.rate, len(sound.samples), sound.seconds) == (44_100, 44_100, 1.0)


def test_the_header_is_told_without_decoding() -> None:
    info = sound_info(sound_of(np.zeros((22_050, 2), np.float32), "FLAC", rate=44_100))
    assert (info.format, info.rate, info.channels, info.frames, info.seconds) == ("FLAC", 44_100, 2, 22_050, 0.5)


@pytest.mark.parametrize("rate", [16_000, 11_025])
def test_blocks_have_the_length_asked_for_and_join_to_the_whole(rate: int, tmp_path: Path) -> None:
    data = sound_of(tone(20.7, rate=rate), "FLAC", rate=rate)
    (tmp_path / "long.flac").write_bytes(data)
    whole = open_sound(data, rate=16_000, most_seconds=30)
    for source in (data, tmp_path / "long.flac", BytesIO(data)):
        parts = list(blocks(source, rate=16_000, seconds=2.5))
        assert [len(part) for part in parts[:-1]] == [40_000] * 8
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_blocks_of_a_long_file_take_no_memory() -> None:
    data = silent_flac(20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(len(part) for part in blocks(data, rate=8_000, seconds=30)) == 1200 * 8_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


@pytest.mark.parametrize("text", ["plain", "lines", "url"])
def test_base64_is_read_as_the_bytes_are(text: str) -> None:
    data = sound_of(tone(0.1))
    coded = base64.encodebytes(data).decode() if text == "lines" else base64.b64encode(data).decode()
    sent = f"data:audio/x-wav;base64,{coded}" if text == "url" else coded
    np.testing.assert_array_equal(
        open_sound(sent, rate=16_000, most_seconds=1), open_sound(data, rate=16_000, most_seconds=1)
    )


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ("data:text/html;base64,AAAA", "invalid_base64"),
        ("AAA", "invalid_base64"),
        ("https://example.org/a.wav", "url_not_allowed"),
        (17, "invalid_request"),
        (b"", "invalid_audio"),
    ],
)
def test_what_is_no_file_is_refused(item: object, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_sound(item, rate=16_000, most_seconds=1)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"this is a text, not sound at all", "no sound of a known format"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(64), "M4A"),
        (b"\x1aE\xdf\xa3" + bytes(64), "WebM"),
        (b"\xff\xf1\x50\x80" + bytes(64), "AAC"),
        (b"FORM\0\0\0\0AIFF" + bytes(64), "AIFF"),
        (b"ID3\4\0\0\0\0\0\4abcd<html>" + bytes(64), "HTML"),
        (b"RIFF\0\0\0\0AVI " + bytes(64), "no sound of a known format"),
    ],
)
def test_other_formats_are_refused_by_name_with_the_fix(data: bytes, word: str) -> None:
    with pytest.raises(Unsupported, match=word) as caught:
        open_sound(data, rate=16_000, most_seconds=1)
    assert caught.value.code == "unsupported_media_type" and "WAV, FLAC, OGG" in caught.value.message


def nan_wav() -> bytes:
    return sound_of(np.array([0, np.nan, 0], np.float32), subtype="FLOAT")


FLAC = sound_of(np.random.default_rng(3).uniform(-0.5, 0.5, 40_000).astype(np.float32), "FLAC")
BAD = {
    "65,535 channels": wav(channels=65_535, frame=65_534),
    "lying about channels": wav(channels=40),
    "17 channels": wav(channels=17, frame=34),
    "0 channels": wav(channels=0, frame=0),
    "1 Hz": wav(rate=1),
    "0 Hz": wav(rate=0),
    "4 GHz": wav(rate=0xFFFF_FFFF),
    "0 frames": wav(b""),
    "announces 2 GB": wav(announced=0x7FFF_FFFF),
    "announces 4 GB": wav(announced=0xFFFF_FFFF),
    "header alone": wav()[:30],
    "12 bytes": wav()[:12],
    "no samples chunk": wav()[:36] + b"LIST\xff\xff\xff\x7f",
    "flac header alone": FLAC[:42],
    "cut-off flac": FLAC[: len(FLAC) // 2],
    "ogg header alone": sound_of(tone(1.0), "OGG")[:60],
    "no mp3 frame": b"\xff\xfb\x90\x00" + bytes(4000),
    "NaN": nan_wav(),
    "10 million times too loud": sound_of(np.full(10, 1e7, np.float32), subtype="FLOAT"),
    "1001 chunks": wav()[:36] + struct.pack("<4sI", b"junk", 0) * 1001 + wav()[36:],
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_or_lying_files_are_refused_at_once(name: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidInput) as caught:
        open_sound(BAD[name], rate=16_000, most_seconds=60)
    assert caught.value.code == "invalid_audio"
    assert time.perf_counter() - started < 0.2


def test_six_hours_are_refused_by_the_header() -> None:
    data = announcing(silent_flac(1), 6 * 3600 * 16_000)
    started = time.perf_counter()
    with pytest.raises(TooLarge, match="longer than 600 seconds") as caught:
        open_sound(data, rate=16_000, most_seconds=600)
    assert caught.value.code == "audio_too_long" and time.perf_counter() - started < 0.2


@pytest.mark.parametrize("announced", [0, 16_000])
def test_a_length_that_the_header_hides_is_refused_as_it_is_decoded(announced: int) -> None:
    data = announcing(silent_flac(20), announced)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    if announced:
        assert len(open_sound(data, rate=16_000, most_seconds=60)) == announced
    else:
        assert sound_info(data).frames == -1
        with pytest.raises(TooLarge):
            open_sound(data, rate=16_000, most_seconds=60)
    assert time.perf_counter() - started < 0.2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_flac_of_unknown_length_is_read_to_its_end() -> None:
    assert len(open_sound(announcing(FLAC, 0), rate=16_000, most_seconds=60)) == 40_000


def test_a_wav_written_into_a_pipe_is_read() -> None:
    data = wav(bytes(3200), announced=0xFFFF_FFFF, whole=0xFFFF_FFFF)
    assert len(open_sound(data, rate=16_000, most_seconds=60)) == 1600


def test_bytes_at_random_never_end_in_anything_but_a_domain_error(capfd: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(11)
    for kind, subtype in KINDS[:-1]:  # mpg123 reports damaged frames on stderr
        whole = np.frombuffer(sound_of(tone(0.3), kind, subtype=subtype), np.uint8)
        for _ in range(60):
            broken = whole.copy()
            broken[draw.integers(0, min(len(broken), 400), 6)] = draw.integers(0, 256, 6)
            try:
                open_sound(broken.tobytes(), rate=16_000, most_seconds=5)
            except ZooError:
                pass
    assert capfd.readouterr().err == ""


def test_threads_do_not_disturb_each_other() -> None:
    def opened(data: bytes) -> NDArray[np.float32]:
        return open_sound(data, rate=8_000, most_seconds=2)

    files = [sound_of(tone(1.0, hertz=100 * place), "OGG") for place in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(map(opened, files), pool.map(opened, files), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_sample_is_ten_milliseconds() -> None:
    assert len(open_sound(SAMPLE, rate=16_000, most_seconds=1)) == 160
