"""JSONL: one object per line; plain columns, or the chat form (user content is text, assistant content label)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import NoReturn

from adapters.datasets.formats.rows import Row
from adapters.datasets.limits import Limits
from adapters.datasets.problems import fault

USER = "messages.user"
ASSISTANT = "messages.assistant"


class _NotFinite(ValueError):
    """NaN or Infinity: Python reads them, JSON does not know them."""


def read_jsonl(lines: Iterator[str], limits: Limits) -> Iterator[Row]:
    """Rows of a JSONL file; raises ``DatasetFault`` at the first line that is not one JSON object."""
    decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
    number = 0
    for line, text in enumerate(lines, start=1):
        text = text.strip()
        if not text:
            continue
        number += 1
        record = _record(decoder, text, line)
        if len(record) > limits.columns:
            raise fault(
                "too_many_columns",
                f"Line {line}: an object of {len(record):,} keys; at most {limits.columns:,} are read.",
                "Keep only the columns that are needed.",
                line=line,
            )
        yield Row(number, line, _flattened(record) if "messages" in record else record)


def _record(decoder: json.JSONDecoder, text: str, line: int) -> dict[str, object]:
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise fault(
            "invalid_json",
            f"Line {line}, column {error.colno}: not valid JSON ({error.msg.lower()}).",
            "Write one complete JSON object per line, with double quotes and without line breaks inside it.",
            line=line,
            position=error.colno,
        ) from None
    except _NotFinite:
        raise fault(
            "not_finite",
            f"Line {line}: NaN or an infinite number, which JSON does not know.",
            "Write null where a value is missing.",
            line=line,
        ) from None
    except (ValueError, RecursionError):
        raise fault(
            "invalid_json",
            f"Line {line}: nested too deeply, or a number of thousands of digits.",
            "Write one flat JSON object per line.",
            line=line,
        ) from None
    if not isinstance(value, dict):
        kind = "a JSON array" if isinstance(value, list) else "no JSON object"
        raise fault(
            "not_an_object",
            f"Line {line}, column 1: {kind}; every line has to be one object.",
            'Write one object per line, such as {"text": "...", "label": "..."}, without brackets around the file.',
            line=line,
            position=1,
        )
    return value


def _refuse(_: str) -> NoReturn:
    raise _NotFinite


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _NotFinite
    return value


def _flattened(record: Mapping[str, object]) -> dict[str, object]:
    """Chat form to two columns: everything the user said before the last assistant message, and that message."""
    values = {name: value for name, value in record.items() if name != "messages"}
    values[USER] = values[ASSISTANT] = None
    messages = record["messages"]
    if not isinstance(messages, list):
        return values
    said: list[str] = []
    for message in messages:
        content = _content(message)
        if content is None:
            continue
        if message["role"] == "user":
            said.append(content)
        elif message["role"] == "assistant":
            values[USER], values[ASSISTANT] = "\n".join(said), content
    if values[ASSISTANT] is None:
        values[USER] = "\n".join(said)
    return values


def _content(message: object) -> str | None:
    """Text of a message: a string, or a list of text parts; None for anything else."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        return None
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        content = "\n".join(part for part in parts if isinstance(part, str)) if parts else None
    return content if isinstance(content, str) else None
