"""Submitting a job once, however often the request for it is repeated."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from fastapi import Header
from fastapi.responses import JSONResponse

from adapters.jobs import JobSpec
from api.job_object import job_object
from api.services import Services, in_thread

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="Repeats with the same key give the same job for 24 hours.")
]


async def submit(spec: JobSpec, services: Services, *, key: str | None, body: bytes) -> JSONResponse:
    """Queue a job and answer 202; a repeat with the same key and body gets the job of the first."""
    fingerprint = fingerprint_of(spec.kind.value, body) if key is not None else ""
    job, replayed = await in_thread(services.queue.submit, spec, idempotency_key=unquoted(key), fingerprint=fingerprint)
    headers = {"idempotency-replayed": "true"} if replayed else None
    return JSONResponse(job_object(job), 202, headers=headers)


def fingerprint_of(kind: str, body: bytes) -> str:
    """The same for two bodies that differ only in spaces and the order of keys."""
    canonical = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{kind}\n{canonical}".encode()).hexdigest()


def unquoted(key: str | None) -> str | None:
    """The key without the quotes that a structured field has; both spellings are the same key."""
    if key is not None and len(key) >= 2 and key[0] == key[-1] == '"':
        return key[1:-1]
    return key
