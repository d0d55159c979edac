"""Speech to text in OpenAI's form."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, BinaryIO, cast

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.requests import Request

from api import subtitles, transcript_events, transcription_request
from api.frames import HEADERS
from api.multipart import temporary
from api.openapi import answers, takes_form
from api.prediction import count, headers_of, unless_left
from api.routes.dependencies import RolloutKey, ServicesDep
from api.schemas import TranscriptionRequest
from api.services import Services, in_thread
from api.transcript_object import transcription_object, verbose_object
from api.transcription_request import in_form, options_of
from zoo.engine.predictor import Prediction
from zoo.errors import ZooError
from zoo.tasks.decoding.transcript import Transcript, joined

router = APIRouter(tags=["Predict"])
_EXAMPLE = {"text": "Where is my parcel?", "usage": {"type": "duration", "seconds": 2}}


@router.post(
    "/v1/audio/transcriptions",
    operation_id="create_transcription",
    summary="Speech to text, also as subtitles or as it is heard.",
    openapi_extra=takes_form(TranscriptionRequest),
    responses=answers(_EXAMPLE, "As response_format says, or server-sent events with stream=true."),
)
async def create_transcription(request: Request, services: ServicesDep, key: RolloutKey = None) -> Response:
    return await _answer(request, services, key=key, translated=False)


@router.post(
    "/v1/audio/translations",
    operation_id="create_translation",
    summary="Speech of any language to English text.",
    openapi_extra=takes_form(TranscriptionRequest),
    responses=answers(_EXAMPLE, "As response_format says, or server-sent events with stream=true."),
)
async def create_translation(request: Request, services: ServicesDep, key: RolloutKey = None) -> Response:
    return await _answer(request, services, key=key, translated=True)


async def _answer(request: Request, services: Services, *, key: str | None, translated: bool) -> Response:
    sound = cast(BinaryIO, await in_thread(temporary, services.settings.home / "staging"))
    try:
        asked = await transcription_request.read(request, sound, max_bytes=services.settings.max_upload_bytes)
    except BaseException:
        with contextlib.suppress(OSError):  # what a full disk did not take is tried once more by closing it
            sound.close()
        raise
    options = options_of(asked, translated=translated)
    heard = services.rollouts.relay(
        asked.model,
        lambda version: services.loader.listen(version, _reader(sound), options, eager=asked.stream),
        key=key,
        whole=_text,
        done=sound.close,
    )
    try:
        if asked.stream:
            first = await unless_left(request, _first(heard))
            events = transcript_events.frames(_counted(first, heard, services), in_form)
            return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS | headers_of(first))
        whole = await unless_left(request, _whole(heard))
    except ZooError as error:
        raise in_form(error) from None
    count(whole, services)
    return _response(whole, asked, translated=translated)


def _reader(sound: BinaryIO) -> BinaryIO:
    """The same file from its begin, to be closed by itself. One is read at a time: they share their place in it."""
    sound.flush()  # also what was read ahead, for which closing it would move the place
    reader = os.fdopen(os.dup(sound.fileno()), "rb")
    reader.seek(0)
    return reader


def _text(found: Sequence[Prediction]) -> Prediction:
    """What two versions are compared by."""
    whole = _joined(found)
    return replace(whole, body={"text": cast(Transcript, whole.body).text})


async def _first(heard: AsyncIterator[Prediction]) -> Prediction:
    return await anext(heard)


async def _whole(heard: AsyncIterator[Prediction]) -> Prediction:
    return _joined([prediction async for prediction in heard])


def _joined(found: Sequence[Prediction]) -> Prediction:
    transcript = joined([cast(Transcript, one.body) for one in found])
    return replace(found[0], body=transcript, run_ms=sum(one.run_ms for one in found))


async def _counted(
    first: Prediction, heard: AsyncIterator[Prediction], services: Services
) -> AsyncIterator[Transcript]:
    """The transcripts of all stretches; at the end the recording is in the metrics."""
    found = [first]
    yield cast(Transcript, first.body)
    async for prediction in heard:
        found.append(prediction)
        yield cast(Transcript, prediction.body)
    count(_joined(found), services)


def _response(whole: Prediction, asked: TranscriptionRequest, *, translated: bool) -> Response:
    transcript, headers = cast(Transcript, whole.body), headers_of(whole)
    if asked.response_format == "text":
        return PlainTextResponse(transcript.text, headers=headers)
    if asked.response_format == "srt":
        return PlainTextResponse(subtitles.srt(transcript.segments), headers=headers)
    if asked.response_format == "vtt":
        return PlainTextResponse(subtitles.vtt(transcript.segments), headers=headers, media_type="text/vtt")
    answer: dict[str, Any] = transcription_object(transcript)
    if asked.response_format == "verbose_json":
        answer = verbose_object(transcript, asked, translated=translated)
    return JSONResponse(answer, headers=headers)
