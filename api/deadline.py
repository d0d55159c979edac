"""Until when a request wants its answer: its header ``X-Request-Timeout`` or the server's limit, if that ends first."""

from __future__ import annotations

import re
import time

from starlette.datastructures import Headers

from api.errors import BadRequest
from zoo.settings import Settings

HEADER = "x-request-timeout"
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


def deadline_of(headers: Headers, settings: Settings) -> float:
    """In ``time.monotonic``'s seconds; raises ``BadRequest`` for a header that is no number of seconds above 0."""
    given = settings.request_timeout_seconds
    text = headers.get(HEADER)
    if text is not None:
        if not _SECONDS.fullmatch(text) or float(text) <= 0:
            raise BadRequest(
                "X-Request-Timeout is a number of seconds above 0, such as 2.5.", param="X-Request-Timeout"
            )
        given = min(given, float(text))
    return time.monotonic() + given
