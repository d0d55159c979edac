"""Server-sent events as OpenAI's clients read them: one JSON object each, named by its type."""

from __future__ import annotations

import json
from typing import Any

from zoo.errors import ZooError

END = "data: [DONE]\n\n"
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


def frame(event: dict[str, Any]) -> str:
    """One event with the empty line without which clients drop it."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def fault_frame(error: ZooError) -> str:
    """What ends a stream that went wrong after its first byte."""
    body = {"message": error.message, "type": "invalid_request_error", "param": error.param, "code": error.code}
    return f"event: error\ndata: {json.dumps({'error': body})}\n\n"
