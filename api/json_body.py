"""JSON bodies read strictly: what is ambiguous, endless or unprintable is refused before a route sees it."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeVar

import anyio.to_thread
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api.errors import BadRequest, invalid_fields
from zoo.errors import InvalidInput, Unsupported, ZooError

MAX_DEPTH = 100
LARGE_BYTES = 1 << 20  # parsed off the event loop from here on
Model = TypeVar("Model", bound=BaseModel)

_JSON_TYPES = ("application/json", "application/problem+json", "text/json")
_TEXT_FIX = "Text may not hold a NUL character or half of a surrogate pair: remove it before sending."


async def read(request: Request, schema: type[Model]) -> tuple[Model, bytes]:
    """The body as ``schema`` and as sent; raises ``ZooError`` for all that is not an object of that shape."""
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type and not is_json(content_type):
        raise Unsupported("Send JSON, with the header content-type: application/json.")
    body = await request.body()
    value = await anyio.to_thread.run_sync(parse, body) if len(body) > LARGE_BYTES else parse(body)
    if not isinstance(value, dict):
        raise InvalidInput("The body has to be a JSON object.")
    try:
        return schema.model_validate(value), body
    except ValidationError as error:
        raise invalid_fields(error.errors()) from None


def is_json(content_type: str) -> bool:
    """Whether a media type (in lower case, without its parameters) is JSON's."""
    return content_type in _JSON_TYPES or content_type.endswith("+json")


def parse(body: bytes) -> Any:
    """The value of a JSON text in UTF-8; an empty body is None.

    Refused: other encodings, duplicate keys, more than 100 levels, NaN and infinite numbers (also 1e999), integers of
    more than 4,300 digits, and NUL or lone surrogates inside any string.
    """
    if not body.strip():
        return None
    try:
        value = _JSON.decode(body.decode("utf-8"))
    except ZooError:
        raise
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8 text.", code="malformed_json") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"The body is not valid JSON (at {where}).", code="malformed_json") from None
    except ValueError:
        raise BadRequest("A number in the body has too many digits.", code="malformed_json") from None
    _check(value, texts=b"\\u" in body)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadRequest("An object in the body has the same key twice: keep one of them.", code="duplicate_key")
    return value


def _no_constant(_name: str) -> NoReturn:
    raise InvalidInput("NaN and Infinity are no JSON numbers: send finite ones.", code="invalid_number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidInput("A number in the body is too large: send finite ones.", code="invalid_number")
    return number


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)


def _too_deep() -> ZooError:
    return BadRequest(f"The body is nested more than {MAX_DEPTH} levels deep.", code="json_too_deep")


def _check(value: Any, *, texts: bool) -> None:
    """Depth of all containers and, where an escape can have made bad ones, every string; without recursion."""
    depth, level = 0, [value]
    while level:
        below: list[Any] = []
        nested = False
        for item in level:
            if isinstance(item, dict):
                nested = True
                below.extend(item.values())
                if texts:
                    below.extend(item)
            elif isinstance(item, list):
                nested = True
                below.extend(item)
            elif texts and isinstance(item, str):
                _check_text(item)
        depth += nested
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = below


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(_TEXT_FIX, code="invalid_text") from None
    if "\0" in text:
        raise InvalidInput(_TEXT_FIX, code="invalid_text")
