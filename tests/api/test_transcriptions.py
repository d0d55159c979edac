"""Speech to text over plain HTTP: forms, formats, streams, and what is refused in words."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.hearing import Hearing, noise
from tests.api.test_predict import wait_until
from zoo.catalogue.store import Store

PATH = "/v1/audio/transcriptions"
LONG = noise(3.0)  # of five windows or more


@pytest.fixture(scope="module")
def caller(ears: Hearing) -> Iterator[httpx.Client]:
    with ears.client() as client:
        yield client


def send(client: httpx.Client, sound: bytes | None = None, path: str = PATH, **fields: Any) -> httpx.Response:
    data = {name: value for name, value in ({"model": "ears"} | fields).items() if value is not None}
    return client.post(path, data=data, files={"file": ("talk.wav", noise() if sound is None else sound)})


def fault(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    assert error["message"]
    return answer.status_code, error["code"], error["param"]


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = [frame.split("\n") for frame in answer.text.split("\n\n") if frame]
    assert frames.pop() == ["data: [DONE]"]
    found = [json.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [event for event, _ in frames] == [f"event: {one['type']}" for one in found]
    return found


def test_json_has_the_text_that_prediction_gives_and_the_seconds_that_were_begun(caller: httpx.Client) -> None:
    answer = send(caller)
    predicted = caller.post("/v1/models/ears/predict", content=noise()).json()
    assert answer.json() == {"text": predicted["text"], "usage": {"type": "duration", "seconds": 1}}
    assert predicted["text"]
    assert answer.headers["x-model"] == "ears"


def test_text_is_bare(caller: httpx.Client) -> None:
    answer = send(caller, response_format="text")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == send(caller).json()["text"]


def test_verbose_json_has_segments_with_their_figures(caller: httpx.Client) -> None:
    body = send(caller, LONG, response_format="verbose_json").json()
    assert {name: body[name] for name in ("task", "language", "duration")} == {
        "task": "transcribe",
        "language": "english",
        "duration": 3.0,
    }
    assert "words" not in body
    assert body["usage"] == {"type": "duration", "seconds": 3}
    assert "".join(segment["text"] for segment in body["segments"]).strip() == body["text"]
    assert [segment["id"] for segment in body["segments"]] == list(range(len(body["segments"])))
    starts = [segment["start"] for segment in body["segments"]]
    assert starts == sorted(starts)
    for segment in body["segments"]:
        assert 0 <= segment["seek"] / 100 <= segment["start"] + 0.01
        assert segment["start"] <= segment["end"] <= 3.0
        assert set(segment) == {
            "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio",
            "no_speech_prob",
        }  # fmt: skip
    assert len({segment["seek"] for segment in body["segments"]}) > 3


@pytest.mark.parametrize(("form", "kind"), [("srt", "text/plain"), ("vtt", "text/vtt")])
def test_subtitles_have_a_block_for_each_segment(caller: httpx.Client, form: str, kind: str) -> None:
    answer = send(caller, LONG, response_format=form)
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.text.count(" --> ") > 3
    assert answer.text.startswith("WEBVTT\n\n") == (form == "vtt")


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_the_content_says_what_it_is_not_the_name(caller: httpx.Client, kind: str) -> None:
    assert send(caller, noise(0.5, kind=kind)).json()["text"]


def test_a_stream_gives_deltas_that_are_the_text_when_joined(caller: httpx.Client) -> None:
    *deltas, done = events(send(caller, LONG, stream="true"))
    assert len(deltas) > 1
    assert {delta["type"] for delta in deltas} == {"transcript.text.delta"}
    assert done["type"] == "transcript.text.done"
    assert done["text"] == "".join(delta["delta"] for delta in deltas) != ""
    assert done["usage"] == {"type": "duration", "seconds": 3}


def test_damage_in_the_middle_ends_a_stream_with_an_error(caller: httpx.Client) -> None:
    whole = noise(30.0, kind="FLAC")
    answer = send(caller, whole[: len(whole) // 2], stream="true")
    *_, last, end = answer.text.split("\n\n")
    assert (answer.status_code, end) == (200, "")
    assert last.startswith("event: error\ndata: ")
    error = json.loads(last.partition("data: ")[2])["error"]
    assert (error["code"], error["param"]) == ("invalid_audio", "file")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "docx"}, "response_format"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"model": None}, "model"),
        ({"temperature": "2"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"language": "xx"}, "language"),
        ({"language": "de"}, "language"),
        ({"stream": "perhaps"}, "stream"),
        ({"stream": "true", "response_format": "srt"}, "stream"),
        ({"include[]": "logprobs"}, "include[]"),
        ({"timestamp_granularities[]": "segment"}, "timestamp_granularities[]"),
        ({"timestamp_granularities[]": "letter", "response_format": "verbose_json"}, "timestamp_granularities.0"),
        ({"num_beams": "0"}, "num_beams"),
    ],
)
def test_a_wrong_field_is_named(caller: httpx.Client, fields: dict[str, Any], param: str) -> None:
    status, _, named = fault(send(caller, **fields))
    assert (status, named) == (400, param)


@pytest.mark.parametrize(
    ("prompt", "code"), [("x" * 5000, "bad_multipart"), ("a\0b", "invalid_text"), (["a", "b"], "bad_multipart")]
)
def test_a_text_that_cannot_be_taken_is_named(caller: httpx.Client, prompt: str | list[str], code: str) -> None:
    assert fault(send(caller, prompt=prompt))[1:] == (code, "prompt")


def test_an_unknown_format_is_answered_with_those_there_are(caller: httpx.Client) -> None:
    message = send(caller, response_format="docx").json()["error"]["message"]
    assert all(name in message for name in ("json", "text", "srt", "vtt", "verbose_json"))


@pytest.mark.parametrize("name", ["timestamp_granularities[]", "timestamp_granularities"])
def test_granularities_come_under_either_name_and_repeated(caller: httpx.Client, name: str) -> None:
    one: dict[str, Any] = {"response_format": "verbose_json", name: "segment"}
    assert "words" not in send(caller, **one).json()
    both = send(caller, **one | {name: ["segment", "word"]}).json()
    assert both["segments"] and both["words"]
    assert "segments" not in send(caller, **one | {name: "word"}).json()


def test_words_follow_one_another_within_the_recording(caller: httpx.Client) -> None:
    asked: dict[str, Any] = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    body = send(caller, LONG, **asked).json()
    assert "".join("".join(word["word"].split()) for word in body["words"]) == "".join(body["text"].split())
    for word in body["words"]:
        assert 0 <= word["start"] <= word["end"] <= 3.0
    starts = [word["start"] for word in body["words"]]
    assert starts == sorted(starts)


def test_empty_fields_count_as_absent(caller: httpx.Client) -> None:
    assert send(caller, language="", prompt="", temperature="").status_code == 200


def test_a_language_may_be_named_in_words(caller: httpx.Client) -> None:
    assert send(caller, language="English").json() == send(caller, language="en").json() == send(caller).json()


def test_a_prompt_changes_what_is_heard(caller: httpx.Client) -> None:
    prompted, bare = (send(caller, response_format="verbose_json", prompt=text).json() for text in ("Mr Quilter", ""))
    assert prompted["segments"][0]["avg_logprob"] != bare["segments"][0]["avg_logprob"]


@pytest.mark.parametrize(
    ("sound", "code"),
    [
        (b"", "invalid_audio"),
        (b"This is text that is called talk.mp3.", "unsupported_media_type"),
        (noise()[:60], "invalid_audio"),
        (b"RIFF" + bytes(40), "unsupported_media_type"),
    ],
    ids=["nothing", "text", "cut", "zeros"],
)
def test_what_is_no_sound_is_the_fault_of_the_file(caller: httpx.Client, sound: bytes, code: str) -> None:
    assert fault(send(caller, sound)) == (400, code, "file")
    assert fault(send(caller, sound, stream="true")) == (400, code, "file")


def test_six_hours_in_half_a_megabyte_are_too_long(caller: httpx.Client) -> None:
    from tests.zoo.tasks.processors.sound_files import sound_of, tone

    silence = sound_of(tone(5 * 3600.0, rate=1000) * 0, "FLAC", rate=1000)
    assert len(silence) < 1_000_000
    assert fault(send(caller, silence)) == (413, "audio_too_long", "file")


def test_a_form_without_a_file_is_refused(caller: httpx.Client) -> None:
    answer = caller.post(PATH, files={"model": (None, "ears")})
    assert fault(answer) == (400, "invalid_request", "file")


def test_something_else_than_a_form_is_refused(caller: httpx.Client) -> None:
    answer = caller.post(PATH, json={"model": "ears"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_a_file_above_the_limit_of_uploads_is_refused(caller: httpx.Client) -> None:
    assert fault(send(caller, bytes(2 * 1024 * 1024 + 1)))[:2] == (413, "body_too_large")
    assert fault(send(caller, bytes(3 * 1024 * 1024)))[:2] == (413, "body_too_large")


def test_an_unknown_model_and_one_that_does_not_hear_are_refused(caller: httpx.Client) -> None:
    assert fault(send(caller, model="nobody")) == (404, "model_not_found", "model")
    assert fault(send(caller, model="bins")) == (400, "wrong_task", "model")


def test_a_model_of_one_language_does_not_translate(caller: httpx.Client) -> None:
    assert fault(send(caller, path="/v1/audio/translations")) == (400, "invalid_request", "model")


def test_a_model_of_several_languages_translates_into_english(caller: httpx.Client) -> None:
    form: dict[str, Any] = {"model": "tongues", "response_format": "verbose_json", "language": "German"}
    said = send(caller, **form).json()
    translated = send(caller, path="/v1/audio/translations", **form).json()
    assert (said["task"], said["language"]) == ("transcribe", "german")
    assert (translated["task"], translated["language"]) == ("translate", "english")
    assert said["segments"][0]["avg_logprob"] != translated["segments"][0]["avg_logprob"]


def test_the_language_is_detected_unless_it_is_said(caller: httpx.Client) -> None:
    found = send(caller, model="tongues", response_format="verbose_json").json()["language"]
    assert found in ("english", "german")
    assert send(caller, model="tongues", response_format="verbose_json", language=found).json()["language"] == found


def test_a_recording_counts_as_one_item(caller: httpx.Client) -> None:
    def counted() -> float:
        lines = caller.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if "ears" in line and "items" in line)

    before = counted()
    send(caller, LONG)
    events(send(caller, LONG, stream="true"))
    assert counted() == before + 2


def test_recordings_are_mirrored_to_a_version_in_the_shadow(ears: Hearing, caller: httpx.Client) -> None:
    store, address = Store(ears.home), "/v1/models/ears/aliases/live/rollout"
    with store.staging() as staged:
        shutil.copytree(store.folder("ears", 1), staged, dirs_exist_ok=True)
        (staged / "manifest.json").unlink()
        store.publish(staged, store.entry("ears", 1).model_copy(update={"lineage": {"job": "another"}}))
    asked = caller.put(address, json={"shadow": 2, "rule": {"automatic": False}})
    assert asked.status_code == 200, asked.text

    def figures() -> tuple[int, float]:
        shadow = caller.get(address).json()["sides"]["shadow"]
        return shadow["compared"], shadow["agreement"]

    for place, form in enumerate(({}, {"stream": "true"}, {"response_format": "verbose_json"})):
        answer = send(caller, LONG, **form)
        assert answer.headers["x-model-version"] == "1"
        wait_until(lambda asked=place + 1: figures()[0] == asked)  # type: ignore[misc]
    assert figures() == (3, 1.0)
    caller.delete("/v1/models/ears@2").raise_for_status()


def test_a_caller_that_leaves_a_stream_holds_nothing_back(ears: Hearing, caller: httpx.Client) -> None:
    sound = {"file": ("talk.wav", noise(30.0))}
    with caller.stream("POST", PATH, data={"model": "ears", "stream": "true"}, files=sound) as answer:
        next(answer.iter_lines())
    wait_until(lambda: ears.loader.waiting() == 0)
    assert send(caller).status_code == 200


def test_no_temporary_file_is_left(ears: Hearing, caller: httpx.Client) -> None:
    send(caller)
    send(caller, b"text")
    assert [path for path in (ears.home / "staging").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("seconds", [0.01, 3.0])
def test_a_disk_that_is_full_while_a_recording_comes_in_is_said_so(
    caller: httpx.Client, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "w+b"))
        assert fault(send(caller, noise(seconds))) == (503, "storage_full", None)
    assert send(caller).status_code == 200
