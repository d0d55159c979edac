"""The web page and the description of the API that it is made from."""

from __future__ import annotations

from importlib import resources
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import Request

from api.openapi import describe

router = APIRouter(include_in_schema=False)
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; media-src blob:;"
        " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@router.get("/")
async def page() -> HTMLResponse:
    html = resources.files("api").joinpath("web/index.html").read_text(encoding="utf-8")
    return HTMLResponse(html, headers=_HEADERS)


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    document: dict[str, Any] = describe(request.app)
    return JSONResponse(document)
