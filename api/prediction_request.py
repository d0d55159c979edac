"""What a prediction is asked for, in each form that clients send it: JSON, the bare item as the body, or a form."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from api import json_body
from api.errors import BadRequest
from api.multipart import parse_form
from api.schemas import PredictRequest
from api.services import Serving, in_thread
from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput, Unsupported

FORM = "multipart/form-data"
CURLS_OWN = "application/x-www-form-urlencoded"  # what curl says of --data-binary, whatever is in it
# huggingface_hub says nothing of what it was given as bytes.
_ANY_BYTES = frozenset({"", "application/octet-stream", "binary/octet-stream", CURLS_OWN})
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_FRACTION = re.compile(r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True)
class Asked:
    """What the engine is asked: an item (text, base64 or bytes) or a list of items, and the task's options.

    ``stream``: whether the answer is wanted bit by bit.
    """

    inputs: object
    options: dict[str, Any]
    stream: bool = False


async def read(request: Request, model_id: str, serving: Serving) -> Asked:
    """The item and options of a request for ``model_id``.

    JSON is taken for every model. A model that does not read text takes its item as the body too, with options in the
    query, or as the part ``file`` of a form, with options as its other fields. Raises ``ZooError``.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if json_body.is_json(kind) or (kind == "" and _begins_like_json(await request.body())):
        asked, _ = await json_body.read(request, PredictRequest)
        return Asked(asked.inputs, asked.options, asked.stream)
    entry = await in_thread(serving.registry.resolve, model_id)
    if entry.modality == "text" or not (kind in _ANY_BYTES or kind == FORM or kind.startswith(f"{entry.modality}/")):
        raise _unsupported(entry)
    if kind == FORM:
        return await _of_form(request, serving)
    body = await request.body()
    if kind == CURLS_OWN and _begins_like_json(body):
        raise _unsupported(entry)
    return Asked(body, options_of(request.query_params.multi_items()))


def options_of(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Options that came as text: whole and decimal numbers, true and false become what they say, the rest stays."""
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in found:
            raise BadRequest("An option is given twice: keep one of them.", code="duplicate_key")
        found[name] = _value(text)
    return found


def _value(text: str) -> int | float | bool | str:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    number = float(text) if _FRACTION.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text


async def _of_form(request: Request, serving: Serving) -> Asked:
    content = io.BytesIO()
    limit = serving.settings.max_body_bytes
    form = await parse_form(request.headers["content-type"], request.stream(), content, max_bytes=limit)
    if form.content is None:
        raise InvalidInput("The form has no part named file: curl -F file=@picture.jpg sends one.", param="file")
    options = options_of([*request.query_params.multi_items(), *form.fields.items()])
    return Asked(content.getvalue(), options)


def _begins_like_json(body: bytes) -> bool:
    """Whether a body of no type is to be read as JSON; no picture or sound begins so, and an empty one is refused."""
    return body[:64].lstrip()[:1] in (b"{", b"[", b"")


def _unsupported(entry: ModelEntry) -> Unsupported:
    if entry.modality == "text":
        return Unsupported(f"{entry.name} reads text: send JSON, with the header content-type: application/json.")
    return Unsupported(
        f"Send the {entry.modality} itself as the body (content-type {entry.modality}/… or application/octet-stream),"
        " or JSON with the header content-type: application/json."
    )
