"""From a request to bring in a model to the job that will do it."""

from __future__ import annotations

from adapters.jobs import Job, JobKind, JobSpec
from api.limits import is_loopback
from api.schemas import ImportRequest
from api.services import Services
from zoo.catalogue.entry import is_name
from zoo.catalogue.listing import Listing
from zoo.errors import InvalidInput, ModelNotFound, Unsupported
from zoo.tasks.task import is_task, task_names


def running(spec: JobSpec, services: Services) -> Job | None:
    """The same import, asked for before and not ended yet: asking twice does not import twice."""
    job = services.queue.latest_import(spec.model)
    same = job is not None and _wishes(job.spec) == _wishes(spec)
    return job if same and job is not None and not job.status.terminal else None


def specify(body: ImportRequest, services: Services, owner: str) -> JobSpec:
    """The job for a request; ``ModelNotFound`` for a name that needs a source, ``InvalidInput`` for a bad one."""
    listing = _listing(body.id, services)
    source = None
    if body.source is None:
        if listing is None or listing.offer is None:
            near = services.registry.suggestions(body.id)
            raise ModelNotFound(
                "The catalogue has no such model: give its source and task too.", suggestions=near, param="id"
            )
    else:
        _check_source(body, listing, services)
        source = body.source.model_dump()
    task = body.task or (listing.task if listing is not None else "")
    if not is_task(task):
        raise Unsupported(
            f"This release cannot import models for {task[:64]}: it has {', '.join(task_names())}.",
            code="unsupported_task",
            param="task" if body.task else "id",
        )
    return JobSpec(
        kind=JobKind.IMPORT, model=body.id, task=body.task, source=source, precision=body.precision, owner=owner
    )


def _wishes(spec: JobSpec) -> tuple[object, ...]:
    return spec.source, spec.task, spec.precision


def _listing(name: str, services: Services) -> Listing | None:
    if "@" in name or not is_name(name):
        raise InvalidInput(
            "A name is 1 to 64 characters of a-z, 0-9, '.', '_' and '-' and starts with a-z or 0-9.",
            code="invalid_id",
            param="id",
        )
    try:
        return services.registry.listing(name)
    except ModelNotFound:
        return None


def _check_source(body: ImportRequest, listing: Listing | None, services: Services) -> None:
    assert body.source is not None
    if listing is not None and listing.offer is not None:
        raise InvalidInput(
            "This name has its source in the catalogue: leave source out, or take another name.", param="id"
        )
    if listing is not None and listing.base is not None:
        raise InvalidInput("This name belongs to an adapted model: take another.", param="id")
    if body.task is None:
        raise InvalidInput("A source of your own needs the task too, for example feature-extraction.", param="task")
    if body.source.kind == "folder" and not is_loopback(services.settings.host):
        raise InvalidInput("Folders of the server can be imported only where it listens on localhost.", param="source")
