"""From a request to bring in a model to the job that will do it."""

from __future__ import annotations

from adapters.jobs import Job, JobKind, JobSpec
from api.address import is_loopback
from api.fine_tune import adaptable
from api.schemas import ImportRequest
from api.services import Services
from zoo.catalogue.entry import is_name
from zoo.catalogue.listing import Listing
from zoo.errors import InvalidInput, ModelNotFound, Unsupported
from zoo.tasks.task import is_task, task_names

MAX_LABEL = 256  # characters


def running(spec: JobSpec, services: Services) -> Job | None:
    """The same import, asked for before and not ended yet: asking twice does not import twice."""
    job = services.queue.latest_import(spec.model)
    same = job is not None and _wishes(job.spec) == _wishes(spec)
    return job if same and job is not None and not job.status.terminal else None


def specify(body: ImportRequest, services: Services, owner: str) -> JobSpec:
    """The job for a request; ``ModelNotFound`` for a name that needs a source, ``InvalidInput`` for a bad one."""
    listing = _listing(body.id, services)
    if body.base is not None:
        return _adapter(body, body.base, listing, services, owner)
    if body.labels is not None:
        raise InvalidInput("Labels are given to adapters: name the model that it was made for as base.", param="labels")
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
    _check_task(task, "task" if body.task else "id")
    return JobSpec(
        kind=JobKind.IMPORT, model=body.id, task=body.task, source=source, precision=body.precision, owner=owner
    )


def _adapter(body: ImportRequest, wanted: str, listing: Listing | None, services: Services, owner: str) -> JobSpec:
    """The job for an adapter that peft saved elsewhere."""
    if listing is not None and listing.base is None:
        raise InvalidInput(f"{body.id} is the name of a pre-trained model; take another for the adapter.", param="id")
    if body.source is None:
        raise InvalidInput("An adapter needs its source: a folder, a hub repository or a package.", param="source")
    if body.precision is not None:
        raise InvalidInput(
            "Adapters are served with the weights of their base: leave precision out.", param="precision"
        )
    _check_folder(body, services)
    if body.task is not None:
        _check_task(body.task, "task")
    _check_labels(body.labels)
    base = adaptable(wanted, services, param="base")
    return JobSpec(
        kind=JobKind.IMPORT,
        model=body.id,
        base=base.reference,
        task=body.task,
        source=body.source.model_dump(),
        labels=None if body.labels is None else tuple(body.labels),
        owner=owner,
    )


def _check_labels(labels: list[str] | None) -> None:
    for label in labels or ():
        if not label.strip() or len(label) > MAX_LABEL:
            raise InvalidInput(f"A label has 1 to {MAX_LABEL} characters that are not only spaces.", param="labels")
    if labels is not None and len(set(labels)) < len(labels):
        raise InvalidInput("A label stands twice among the labels: give each class its own.", param="labels")


def _check_task(task: str, param: str) -> None:
    if not is_task(task):
        raise Unsupported(
            f"This release cannot import models for {task[:64]}: it has {', '.join(task_names())}.",
            code="unsupported_task",
            param=param,
        )


def _check_folder(body: ImportRequest, services: Services) -> None:
    if body.source is not None and body.source.kind == "folder" and not is_loopback(services.settings.host):
        raise InvalidInput("Folders of the server can be imported only where it listens on localhost.", param="source")


def _wishes(spec: JobSpec) -> tuple[object, ...]:
    return spec.source, spec.task, spec.precision, spec.base, spec.labels


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
    _check_folder(body, services)
