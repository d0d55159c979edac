"""Requests that no route takes, in the one form of all errors: unknown address, wrong method, odd path or query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.errors import BadRequest, MethodNotAllowed, invalid_fields, response_for
from zoo import errors


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Routing errors: unknown address, or known address and wrong method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return response_for(MethodNotAllowed(allowed_methods(request)), request.scope)
    if error.status_code == 404:
        unknown = errors.NotFound("There is no such address here; GET /openapi.json lists all.", code="unknown_url")
        return response_for(unknown, request.scope)
    return response_for(BadRequest("The request could not be read.", code="bad_http"), request.scope)


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Path, query and header values of the wrong type."""
    assert isinstance(error, RequestValidationError)
    return response_for(invalid_fields(error.errors()), request.scope)


def allowed_methods(request: Request) -> str:
    """The methods of every route that matches the path asked, for the Allow header."""
    routes: Mapping[re.Pattern[str], Any] = request.app.state.methods
    path = request.scope["path"]
    found = {method for pattern, methods in routes.items() if pattern.fullmatch(path) for method in methods}
    return ", ".join(sorted(found)) or "GET"
