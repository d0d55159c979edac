"""A model as clients see it: OpenAI's fields first, then ours."""

from __future__ import annotations

from typing import Any

from adapters.jobs import Job, JobStatus
from adapters.queue import JobQueue
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.listing import Listing
from zoo.engine.body import SERVED_BY, WHY
from zoo.engine.served import Served
from zoo.errors import ZooError
from zoo.tasks.task import is_task


class Imports:
    """The newest import job of each name; asks the queue no more once it did not answer."""

    def __init__(self, queue: JobQueue | None) -> None:
        self._queue = queue

    def latest(self, name: str) -> Job | None:
        """None too if the queue cannot be reached: models are listed without it."""
        if self._queue is None:
            return None
        try:
            return self._queue.latest_import(name)
        except ZooError:
            self._queue = None
            return None


def listed(listing: Listing, imports: Imports) -> dict[str, Any]:
    """One object of ``GET /v1/models``."""
    entry, offer = listing.current, listing.offer
    if entry is not None:
        size = entry.size
    else:
        size = int(offer.size_mb * 1_000_000) if offer else 0
    return {
        "id": listing.name,
        "object": "model",
        "created": entry.created if entry else 0,
        "owned_by": "local" if listing.base else "adaptzoo",
        "task": listing.task,
        "modality": listing.modality,
        "base": listing.base,
        "versions": list(listing.versions),
        "aliases": dict(listing.aliases),
        "licence": listing.licence,
        "title": listing.title,
        "size": size,
        "supported": is_task(listing.task),
        **_status(listing, imports),
    }


def _status(listing: Listing, imports: Imports) -> dict[str, Any]:
    if listing.current is not None and listing.current.version in listing.broken:
        return {"status": "failed"}  # an alias can point to a version whose files have been damaged since
    if listing.status == "ready":
        return {"status": "ready"}
    job = imports.latest(listing.name)
    if job is not None and not job.status.terminal:
        return {"status": "importing", "job": job.id}
    if job is not None and job.status is JobStatus.FAILED:
        error = job.error.model_dump() if job.error else None
        return {"status": "failed", "job": job.id, "error": error}
    return {"status": listing.status}


def detailed(
    listing: Listing, entry: ModelEntry | None, imports: Imports, served: Served | None = None
) -> dict[str, Any]:
    """The object of ``GET /v1/models/{id}``: what is known of one version, or of what the catalogue offers.

    ``served``: what runs it, if it is in memory.
    """
    known = listed(listing, imports)
    if entry is None:
        offer = listing.offer
        return known | {"description": offer.description if offer else "", "version": None}
    return known | {
        "created": entry.created,
        "task": entry.task,
        "base": entry.base,
        "size": entry.size,
        "version": entry.version,
        "precision": entry.precision,
        "architecture": entry.architecture,
        "labels": list(entry.labels),
        "limits": entry.limits,
        **_way(entry, served),
        "threads": None if served is None else served.threads.as_dict(),
        "provider": None if served is None else served.provider,
        "metrics": entry.metrics,
        "parity": entry.parity,
        "lineage": entry.lineage,
        "files": [file.model_dump() for file in entry.files],
    }


def _way(entry: ModelEntry, served: Served | None) -> dict[str, Any]:
    """By what a version is answered for: as its manifest says, unless another way was taken when it was loaded."""
    if served is not None and served.why is not None:
        return {SERVED_BY: "merged", WHY: served.why}
    return {SERVED_BY: entry.options.get(SERVED_BY), WHY: entry.options.get(WHY)}
