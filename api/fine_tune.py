"""From what a client asks for to the job that will run: every fault that can be known now is named now."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from adapters.datasets import Problem, Report
from adapters.jobs import EIGHT_BITS, Hyperparameters, JobKind, JobSpec
from api.errors import BadRequest, WrongModel, invalid_fields
from api.schemas import FineTuneRequest
from api.services import Services
from zoo.catalogue.entry import CHECKPOINT, ModelEntry, Precision, is_name, slug
from zoo.catalogue.listing import Listing
from zoo.errors import InvalidDataset, InvalidInput, ModelNotFound, NotFound
from zoo.tasks.decoding.text_settings import TextSettings
from zoo.tasks.task import is_task, task_class

MAX_SEED = 2147483647
_MODULE = re.compile(r"^[A-Za-z0-9_.]{1,100}$")
_MAX_MODULES = 50
_KINDS = {"text": "text", "image": "pictures", "audio": "sound"}
_DATA = {
    "text": "a table of texts and labels (CSV, JSONL or Parquet)",
    "image": "a zip of pictures",
    "audio": "a zip of recordings",
}


def specify(request: FineTuneRequest, services: Services, owner: str) -> JobSpec:
    """The job for a request; reads the data file's report, so not for the event loop. Raises ``ZooError``."""
    if request.integrations:
        raise InvalidInput("Integrations are not supported: leave the field out.", param="integrations")
    hyperparameters = hyperparameters_of(request)
    metadata = checked_metadata(request.metadata)
    base = adaptable(request.model, services)
    check_suffix(request.suffix, services)
    report = check_file(
        services, request.training_file, param="training_file", task=request.task, columns=request.columns
    )
    task, columns = report.task, sides(base, report.columns, request.columns)
    check_modality(base, task, services)
    check_precision(request.precision, task)
    if request.validation_file is not None:
        check_file(services, request.validation_file, param="validation_file", task=task, columns=columns)
    return JobSpec(
        kind=JobKind.ADAPT,
        model=base.reference,
        task=task,
        training_file=request.training_file,
        validation_file=request.validation_file,
        columns=columns or {},
        hyperparameters=hyperparameters,
        suffix=request.suffix,
        seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed,
        metadata=metadata,
        precision=request.precision,
        owner=owner,
    )


def sides(base: ModelEntry, found: Mapping[str, str], asked: dict[str, str] | None) -> dict[str, str] | None:
    """Which columns are read as what (role -> column): as ``asked``, or the other way round where their names say so.

    A translator of one pair whose codes the columns bear is adapted in its own direction. Raises ``InvalidInput``
    (``wrong_direction``) where the other one is asked for.
    """
    settings = base.options.get("text_to_text")
    pair = TextSettings.of(settings).pair if settings is not None else None
    if pair is None or (found.get("source"), found.get("target")) != pair[::-1]:
        return asked
    source, target = pair
    if asked is not None:
        message = f"{base.name} translates {source} to {target}: say so in columns, or adapt another model."
        raise InvalidInput(message, code="wrong_direction", param="columns")
    return {"source": source, "target": target}


def check_precision(precision: Precision | None, task: str | None) -> None:
    """Weights of 8 bits are tried where one graph answers."""
    if precision == "int8" and task not in EIGHT_BITS:
        message = f"Models of {task} are adapted in float32: leave precision out. For int8 there are "
        raise InvalidInput(message + f"{', '.join(EIGHT_BITS)}.", param="precision")


def hyperparameters_of(request: FineTuneRequest) -> Hyperparameters:
    """Hyperparameters from all three places; ``InvalidInput`` (``invalid_hyperparameter``) names the one at fault."""
    beside = {name: getattr(request, name) for name in Hyperparameters.model_fields}
    given: dict[str, Any] = {}
    for source in (beside, request.hyperparameters or {}, _of_method(request.method)):
        given |= {name: value for name, value in source.items() if value is not None}
    modules = given.get("target_modules", "auto")
    if isinstance(modules, list):
        given["target_modules"] = tuple(modules)
        _check_modules(modules)
    try:
        return Hyperparameters.model_validate(given, strict=True)
    except ValidationError as error:
        unknown = error.errors()[0]["type"] == "extra_forbidden"
        fault = invalid_fields(error.errors(), code="unknown_field" if unknown else "invalid_hyperparameter")
        raise InvalidInput(fault.message, code=fault.code, param=f"hyperparameters.{fault.param}") from None


def _of_method(method: Mapping[str, Any] | None) -> dict[str, Any]:
    if method is None:
        return {}
    kind = method.get("type", "supervised")
    if kind != "supervised":
        raise BadRequest(
            "This method is not supported: use type supervised.", code="unsupported_method", param="method.type"
        )
    if unknown := set(method) - {"type", "supervised"}:
        raise InvalidInput(
            f"Unknown fields beside method.supervised: {len(unknown)}; remove them.",
            code="unknown_field",
            param="method",
        )
    supervised = method.get("supervised") or {}
    values = supervised.get("hyperparameters") if isinstance(supervised, dict) else supervised
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidInput("Hyperparameters have to be an object.", param="method.supervised.hyperparameters")
    return values


def _check_modules(modules: list[Any]) -> None:
    good = 1 <= len(modules) <= _MAX_MODULES and all(
        isinstance(item, str) and _MODULE.fullmatch(item) for item in modules
    )
    if not good:
        raise InvalidInput(
            f"Target modules are 1 to {_MAX_MODULES} plain names of letters, digits, '_' and '.', not patterns.",
            code="invalid_hyperparameter",
            param="hyperparameters.target_modules",
        )


def checked_metadata(metadata: dict[str, str] | None) -> dict[str, str] | None:
    """At most 16 pairs, keys of 64 and values of 512 characters."""
    if metadata is None:
        return None
    if len(metadata) > 16 or any(len(key) > 64 or len(value) > 512 for key, value in metadata.items()):
        raise InvalidInput(
            "Metadata may have at most 16 pairs, keys of at most 64 and values of at most 512 characters.",
            param="metadata",
        )
    return metadata


def adaptable(reference: str, services: Services, *, param: str = "model") -> ModelEntry:
    """The model to start from; ``ModelNotFound``, or ``InvalidInput`` (``not_adaptable``) with the way out."""
    try:
        entry = services.registry.resolve(reference)
    except ModelNotFound as error:
        raise ModelNotFound(error.message, suggestions=error.suggestions, param=param) from None
    if entry.base is not None:
        raise InvalidInput(
            f"{entry.reference} was itself adapted; start from its base: {entry.base}.",
            code="not_adaptable",
            param=param,
        )
    if not (services.store.folder(entry.name, entry.version) / CHECKPOINT).is_dir():
        raise InvalidInput(
            f"{entry.reference} has no weights to train on, only its exported graph: import it again from a repository"
            " or folder with safetensors, where the training libraries are installed (pip install 'adaptzoo[train]').",
            code="not_adaptable",
            param=param,
        )
    return entry


def check_suffix(suffix: str | None, services: Services) -> None:
    """A new model's name: valid, and not that of a pre-trained one."""
    if suffix is None:
        return
    if not is_name(suffix):
        raise InvalidInput(
            "A suffix is 1 to 64 characters of a-z, 0-9, '.', '_' and '-' and starts with a-z or 0-9;"
            f" for example {slug(suffix)}.",
            param="suffix",
        )
    try:
        listing = services.registry.listing(suffix)
    except ModelNotFound:
        return
    if listing.offer is not None or (listing.current is not None and listing.current.base is None):
        raise InvalidInput(
            f"{suffix} is the name of a pre-trained model; take another, for example my-{suffix}"[:120] + ".",
            param="suffix",
        )


def check_modality(base: ModelEntry, task: str, services: Services) -> None:
    """The model reads what the task's data hold; else ``WrongModel`` (``wrong_modality``) names models that do."""
    wanted = task_class(task).modality
    if wanted == base.modality:
        return
    named = [listing for listing in services.registry.listings(modality=wanted) if _can_start(listing)]
    named.sort(key=lambda listing: (listing.status != "ready", listing.offer.size_mb if listing.offer else 0.0))
    there = [listing.name for listing in named if listing.status == "ready"]
    if there:
        way = f"Start from one that does, such as {' or '.join(there[:2])}."
    elif named:
        way = f"Import one that does, for example with `zoo pull {named[0].name}`."
    else:
        way = "`zoo models` lists what there is."
    raise WrongModel(
        f"{base.name} reads {_KINDS[base.modality]}, but this data is {_KINDS[wanted]}, for {task}. {way}"
        f" To adapt {base.name}, upload {_DATA[base.modality]}.",
        suggestions=tuple(listing.name for listing in named[:3]),
    )


def _can_start(listing: Listing) -> bool:
    return is_task(listing.task) and listing.base is None and listing.status != "failed"


def check_file(
    services: Services, file_id: str, *, param: str, task: str | None, columns: dict[str, str] | None
) -> Report:
    """The report of a file that can be trained on for ``task`` (None: what it shows); errors carry ``param``."""
    try:
        record = services.files.get(file_id)
    except (NotFound, InvalidInput):
        raise NotFound(
            "There is no such file: upload it with POST /v1/files.", code="file_not_found", param=param
        ) from None
    if record.purpose != "fine-tune":
        raise InvalidInput("The file was uploaded for another purpose: upload it with purpose fine-tune.", param=param)
    try:
        report = services.files.revalidate(file_id, task=task, columns=columns)
    except InvalidInput as error:
        raise InvalidInput(error.message, code=error.code, param=error.param or param) from None
    if report.fatal is not None:
        raise InvalidDataset(sentence(report.fatal), param=param)
    return report


def sentence(problem: Problem) -> str:
    """A problem of a data file as one line: where it is, what it is, how to mend it."""
    begun = f"Line {problem.line}:"  # how messages about a line begin
    known = ["row", "column"] if problem.message.startswith(begun) else ["line", "row", "column"]
    known = known if problem.file is None or problem.file in problem.message else ["file", *known]
    parts = [f"{name} {value}" for name in known if (value := getattr(problem, name)) is not None]
    place = ", ".join(parts).capitalize() + ": " if parts else ""
    return f"{place}{problem.message} {problem.fix}"
