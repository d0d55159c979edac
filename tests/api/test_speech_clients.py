"""Speech through the public packages, unchanged: `openai` and `huggingface_hub`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from huggingface_hub import InferenceClient

from tests.api.hearing import Hearing, noise
from tests.zoo.tasks.processors.sound_files import sound_of, tone


@pytest.fixture(scope="module")
def official(ears: Hearing) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{ears.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(noise(1.5))
    return path


def test_openai_transcribes_as_json(official: openai.OpenAI, talk: Path) -> None:
    answer = official.audio.transcriptions.create(model="ears", file=talk)
    assert answer.text
    assert answer.usage is not None
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == 2


@pytest.mark.parametrize("form", ["text", "srt", "vtt"])
def test_openai_transcribes_as_text_and_subtitles(official: openai.OpenAI, talk: Path, form: str) -> None:
    answer = official.audio.transcriptions.create(model="ears", file=talk, response_format=form)  # type: ignore[call-overload]
    assert isinstance(answer, str)
    assert (" --> " in answer) == (form != "text")


def test_openai_transcribes_verbosely(official: openai.OpenAI, talk: Path) -> None:
    answer = official.audio.transcriptions.create(
        model="ears",
        file=talk,
        response_format="verbose_json",
        timestamp_granularities=["segment"],
        language="en",
        prompt="Mr Quilter",
        temperature=0.2,
    )
    assert (answer.language, answer.duration) == ("english", 1.5)
    assert answer.segments
    assert {type(segment.start) for segment in answer.segments} == {float}
    assert answer.segments[0].no_speech_prob < 1


def test_openai_gets_the_times_of_words(official: openai.OpenAI, talk: Path) -> None:
    answer = official.audio.transcriptions.create(
        model="ears", file=talk, response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert answer.words
    assert all(word.word and 0 <= word.start <= word.end for word in answer.words)


def test_openai_streams(official: openai.OpenAI, talk: Path) -> None:
    told, done = "", None
    for event in official.audio.transcriptions.create(model="ears", file=talk, stream=True):
        if event.type == "transcript.text.delta":
            told += event.delta
        elif event.type == "transcript.text.done":
            done = event.text
    assert told == done != ""


def test_openai_sends_bytes_without_a_name(official: openai.OpenAI) -> None:
    assert official.audio.transcriptions.create(model="ears", file=noise()).text


def test_openai_names_what_is_wrong(official: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        official.audio.transcriptions.create(model="ears", file=("talk.mp3", b"no sound at all"))
    assert (caught.value.code, caught.value.param) == ("unsupported_media_type", "file")
    with pytest.raises(openai.NotFoundError):
        official.audio.transcriptions.create(model="nobody", file=noise())
    with pytest.warns(DeprecationWarning), pytest.raises(openai.BadRequestError, match="English alone"):
        official.audio.translations.create(model="ears", file=noise())


def test_hub_client_recognises_speech(ears: Hearing, talk: Path) -> None:
    client = InferenceClient(model=f"{ears.url}/models/ears")
    answer = client.automatic_speech_recognition(str(talk))
    assert answer.text
    assert not answer.chunks
    assert client.automatic_speech_recognition(talk.read_bytes()).text == answer.text


@pytest.mark.parametrize("wanted", [True, "word"])
def test_hub_client_gets_times(ears: Hearing, talk: Path, wanted: bool | str) -> None:
    client = InferenceClient(model=f"{ears.url}/models/ears")
    answer = client.automatic_speech_recognition(str(talk), extra_body={"return_timestamps": wanted})
    assert answer.chunks
    assert all(chunk.text and len(chunk.timestamp) == 2 for chunk in answer.chunks)


@pytest.mark.parametrize(("label", "hertz"), [("deep", 300.0), ("shrill", 5500.0)])
def test_hub_client_classifies_sounds(ears: Hearing, tmp_path: Path, label: str, hertz: float) -> None:
    path = tmp_path / "clip.flac"
    path.write_bytes(sound_of(tone(hertz=hertz), "FLAC"))
    client = InferenceClient(model=f"{ears.url}/models/bins")
    answer = client.audio_classification(str(path))
    assert [item.label for item in answer][0] == label
    assert len(client.audio_classification(path.read_bytes(), top_k=1)) == 1
