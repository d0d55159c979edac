"""What a transcription is asked for: a form as OpenAI's clients send it, to the engine's words and back to theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from pydantic import ValidationError
from starlette.requests import Request

from api.errors import BadRequest, invalid_fields
from api.languages import code_of
from api.multipart import Form, parse_form
from api.schemas import TranscriptionRequest
from zoo.errors import InvalidInput, TooLarge, Unsupported, ZooError

_LISTS = {"timestamp_granularities[]": "timestamp_granularities", "timestamp_granularities": "timestamp_granularities"}
_FIELDS = {
    "inputs": "file",
    "parameters.language": "language",
    "parameters.prompt": "prompt",
    "parameters.temperature": "temperature",
    "parameters.num_beams": "num_beams",
    "parameters.task": "model",
    "parameters.return_timestamps": "timestamp_granularities[]",
}


async def read(request: Request, sound: IO[bytes], *, max_bytes: int) -> TranscriptionRequest:
    """The form's fields; its part ``file`` goes to ``sound``. Raises ``ZooError``."""
    kind = request.headers.get("content-type", "")
    form = await parse_form(kind, request.stream(), sound, max_bytes=max_bytes, lists=frozenset(_LISTS))
    asked = _fields_of(form)
    if form.content is None:
        raise BadRequest("The form has no part named file: curl -F file=@talk.mp3 sends one.", param="file")
    if not form.content.read(1):
        raise BadRequest("The file is empty: it has no bytes.", code="invalid_audio", param="file")
    form.content.seek(0)
    if asked.timestamp_granularities and asked.response_format != "verbose_json":
        message = "Times are in verbose_json alone: send response_format=verbose_json with them."
        raise BadRequest(message, param="timestamp_granularities[]")
    if asked.stream and asked.response_format not in ("json", "text"):
        message = f"A stream gives text, not {asked.response_format}: leave out stream or response_format."
        raise BadRequest(message, param="stream")
    return asked


def _fields_of(form: Form) -> TranscriptionRequest:
    values: dict[str, Any] = {name: text for name, text in form.fields.items() if text.strip()}
    for name, texts in form.lists.items():
        values.setdefault(_LISTS[name], []).extend(texts)
    try:
        return TranscriptionRequest.model_validate(values)
    except ValidationError as error:
        fault = invalid_fields(error.errors())
        raise BadRequest(fault.message, code=fault.code, param=fault.param) from None


def options_of(asked: TranscriptionRequest, *, translated: bool) -> Mapping[str, Any]:
    """Options of the task; times are looked for only where the answer has them, since text alone comes sooner."""
    options: dict[str, Any] = {"task": "translate" if translated else "transcribe", "temperature": asked.temperature}
    if asked.language is not None:
        options["language"] = code_of(asked.language)
    if asked.num_beams is not None:
        options["num_beams"] = asked.num_beams
    if asked.prompt is not None:
        options["prompt"] = asked.prompt
    if asked.response_format not in ("json", "text"):
        options["return_timestamps"] = "word" if "word" in asked.timestamp_granularities else True
    return options


def in_form(error: ZooError) -> ZooError:
    """An error of the engine in words of the form: its field, and 400 for all that the caller can change."""
    param = _FIELDS.get(error.param or "", error.param)
    if isinstance(error, InvalidInput | Unsupported):
        return BadRequest(error.message, code=error.code, param=param)
    if isinstance(error, TooLarge):
        return TooLarge(error.message, code=error.code, param=param)
    return error
