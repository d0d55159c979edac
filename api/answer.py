"""The body of a prediction: JSON, written by pydantic's serialiser."""

from __future__ import annotations

from fastapi.responses import JSONResponse
from pydantic_core import to_json


class Answer(JSONResponse):
    """A vector of 384 numbers takes 20 µs to write, with the standard library's encoder 350. NaN becomes null."""

    def render(self, content: object) -> bytes:
        return to_json(content, inf_nan_mode="null")
