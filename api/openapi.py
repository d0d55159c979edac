"""The description of the HTTP API. Bodies are read by our own strict parser, so their schemas are added here."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import schemas

TAGS = [
    {"name": "Models", "description": "What exists, and bringing more in."},
    {"name": "Predict", "description": "Asking a model."},
    {"name": "Files", "description": "Your labelled data."},
    {"name": "Fine-tuning", "description": "Your data into your own model."},
    {"name": "Jobs", "description": "Work of every kind, imports too."},
    {"name": "Health", "description": "Probes and metrics."},
]
_REF = "#/components/schemas/{model}"
_ERROR = {
    "type": "object",
    "description": "error: on /v1 addresses an object with message, type, param and code; elsewhere a string.",
    "properties": {
        "error": {},
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
    },
}


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """``openapi_extra`` of a route with this JSON body."""
    content = {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}
    return {"requestBody": {"required": True, "content": content}}


def takes_item(model: type[BaseModel]) -> dict[str, Any]:
    """``openapi_extra`` of a route that takes this JSON body, or one item as the body or as a form's file."""
    binary = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": ["file"], "properties": {"file": binary}, "additionalProperties": True}
    extra = takes(model)
    content: dict[str, Any] = extra["requestBody"]["content"]
    content |= {kind: {"schema": binary} for kind in ("image/*", "audio/*", "application/octet-stream")}
    content["multipart/form-data"] = {"schema": form}
    return extra


def takes_form(model: type[BaseModel]) -> dict[str, Any]:
    """``openapi_extra`` of a route that takes a form: these fields, and a file."""
    schema = model.model_json_schema()
    schema["properties"]["file"] = {"type": "string", "format": "binary"}
    schema["required"] = [*schema.get("required", ()), "file"]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def answers(example: Any, description: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route: an example of success, and the one form of all errors."""
    fault = {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}}
    return {
        status: {"description": description, "content": {"application/json": {"example": example}}},
        "default": {"description": "An error.", "content": fault},
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application; made once, at the first request for it."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="AdaptZoo", version=app.version, description=app.description, routes=app.routes, tags=TAGS
        )
        bodies = [
            (item, "validation")
            for item in vars(schemas).values()
            if isinstance(item, type) and issubclass(item, schemas.Body) and item is not schemas.Body
        ]
        _, definitions = models_json_schema(bodies, ref_template=_REF)  # type: ignore[arg-type]
        known = document.setdefault("components", {}).setdefault("schemas", {})
        known |= definitions["$defs"] | {"Error": _ERROR}
        app.openapi_schema = document
    return app.openapi_schema
