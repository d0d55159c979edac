"""audio-classification: labels and scores of a sound, through the predictor that serves."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.zoo.tasks.processors.sound_files import sound_of, tone
from tests.zoo.tasks.sound_model import predictor
from zoo.engine.predictor import Predictor
from zoo.errors import ArtifactCorrupt, InvalidInput, TooLarge, Unsupported

LABELS = ("deep", "low", "high", "shrill")
WEIGHTS = np.eye(4).tolist()
HERTZ = {"deep": 300.0, "low": 1200.0, "high": 2600.0, "shrill": 5500.0}


@pytest.fixture(scope="module", params=["masked", "by length"])
def ears(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    masked = request.param == "masked"
    return predictor(tmp_path_factory.mktemp("ears"), WEIGHTS, masked=masked, labels=LABELS)


def clip(label: str, seconds: float = 0.5, *, rate: int = 16_000, kind: str = "WAV") -> bytes:
    return sound_of(tone(seconds, rate=rate, hertz=HERTZ[label]), kind, rate=rate)


@pytest.mark.parametrize(("kind", "rate"), [("WAV", 16_000), ("FLAC", 44_100), ("OGG", 22_050), ("MP3", 48_000)])
def test_any_format_and_rate_is_answered_highest_first(ears: Predictor, kind: str, rate: int) -> None:
    for label in LABELS:
        body: Any = ears.predict(clip(label, kind=kind, rate=rate)).body
        assert [set(item) for item in body] == [{"label", "score"}] * 4
        assert body[0]["label"] == label
        assert sorted((item["score"] for item in body), reverse=True) == [item["score"] for item in body]
        assert sum(item["score"] for item in body) == pytest.approx(1, abs=1e-6)
        assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_base64_is_answered_as_the_bytes_are(ears: Predictor) -> None:
    data = clip("low")
    assert ears.predict(base64.b64encode(data).decode()).body == ears.predict(data).body


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (3, 3), (50, 4)])
def test_top_k_labels_are_answered(ears: Predictor, top_k: int, count: int) -> None:
    body: Any = ears.predict(clip("high"), {"top_k": top_k}).body
    assert len(body) == count


def test_lengths_mixed_in_a_batch_change_no_answer(ears: Predictor) -> None:
    clips = [clip(LABELS[place % 4], 0.05 + 0.13 * (place % 5)) for place in range(12)]
    together: Any = ears.predict(clips, {"function_to_apply": "none"}).body
    for alone, answer in zip(clips, together, strict=True):
        expected: Any = ears.predict(alone, {"function_to_apply": "none"}).body
        assert [item["label"] for item in answer] == [item["label"] for item in expected]
        np.testing.assert_allclose([i["score"] for i in answer], [i["score"] for i in expected], atol=1e-5)


def test_a_bad_clip_in_a_list_harms_no_other(ears: Predictor) -> None:
    body: Any = ears.predict([clip("low"), b"no sound", clip("high")], {"top_k": 1}).body
    assert (body[0][0]["label"], body[1]["code"], body[2][0]["label"]) == ("low", "unsupported_media_type", "high")


@pytest.mark.parametrize(
    ("item", "error", "code"),
    [
        (b"text named talk.mp3", Unsupported, "unsupported_media_type"),
        (sound_of(np.zeros(0, np.float32)), InvalidInput, "invalid_audio"),
        ("https://example.org/a.wav", InvalidInput, "url_not_allowed"),
        (sound_of(np.zeros(601 * 1000, np.float32), rate=1000), TooLarge, "audio_too_long"),
    ],
)
def test_what_cannot_be_heard_is_refused(ears: Predictor, item: object, error: type[Exception], code: str) -> None:
    with pytest.raises(error) as caught:
        ears.predict(item)
    assert getattr(caught.value, "code", "") == code


def test_of_a_longer_clip_the_beginning_is_heard_and_that_is_said(tmp_path: Path) -> None:
    ears = predictor(tmp_path, WEIGHTS, hearing={"seconds": 0.5}, labels=LABELS)
    both = np.concatenate([tone(0.5, hertz=HERTZ["low"]), tone(0.5, hertz=HERTZ["shrill"])])
    whole, beginning = ears.predict(sound_of(both)), ears.predict(clip("low"))
    assert (whole.truncated, beginning.truncated) == (1, 0)
    assert whole.body == beginning.body


def test_scores_of_labels_by_themselves_where_the_model_has_several(tmp_path: Path) -> None:
    ears = predictor(tmp_path, WEIGHTS, labels=LABELS, options={"function_to_apply": "sigmoid"})
    body: Any = ears.predict(clip("low")).body
    assert sum(item["score"] for item in body) > 1.2


def test_a_manifest_that_does_not_say_what_is_heard_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(ArtifactCorrupt):
        predictor(tmp_path, WEIGHTS, hearing={"ears": 2}, labels=LABELS)
