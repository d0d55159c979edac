"""The import job: a pre-trained model into the zoo. What is ready-made needs no torch, all else is exported with it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from adapters.jobs import JobContext
from zoo.catalogue.adapter import CONFIG, WEIGHTS
from zoo.catalogue.entry import CHECKPOINT, CatalogueEntry, ModelEntry, Precision, Source
from zoo.catalogue.hub_layout import architectures, refuse_remote_code
from zoo.catalogue.registry import LIVE, load_catalogue
from zoo.catalogue.sources import Fetched, GraphWish, ReadyMade, fetch
from zoo.catalogue.store import Store
from zoo.engine.threads import granted_threads
from zoo.engine.trial import try_ready_made
from zoo.errors import InvalidInput, ModelNotFound, Unsupported
from zoo.settings import Settings
from zoo.tasks.ready_made.description import is_described, load_description
from zoo.tasks.ready_made.heads import head_task
from zoo.tasks.task import task_class

STAGES = ("fetch", "load", "export", "compare", "publish")
TRAINING = "adapters.training.importing"  # loads torch
ADAPTERS = "adapters.training.adapter_import"  # likewise
_NO_TORCH = "torch is not installed where the ready-made graph was imported"
_NO_WEIGHTS = "no safetensors lie beside the ready-made graph"
_source: TypeAdapter[Source] = TypeAdapter(Source)


@dataclass(frozen=True)
class Import:
    """One import that goes on: the checkpoint lies in ``staged``, beside which everything that is served is put."""

    context: JobContext
    offer: CatalogueEntry
    staged: Path
    threads: int

    @property
    def checkpoint(self) -> Path:
        """The folder of what was fetched."""
        return self.staged / CHECKPOINT

    @property
    def precision(self) -> Precision:
        """Of the served weights, where they are exported."""
        return self.context.job.spec.precision or self.offer.precision

    @property
    def task(self) -> str:
        """As the request or the catalogue has it; "" where the checkpoint has to say it."""
        return self.context.job.spec.task or self.offer.task

    def stage(self, stage: str) -> None:
        """Report what comes next; raises ``JobStopped``."""
        self.context.tick(stage, STAGES.index(stage), len(STAGES))

    def draft(self, task: str, architecture: str, **fields: Any) -> ModelEntry:
        """The version as it is known so far."""
        return ModelEntry(
            name=self.context.job.spec.model,
            version=1,
            task=task,
            modality=task_class(task).modality,
            architecture=architecture,
            licence=self.offer.licence,
            title=self.offer.title,
            created=int(time.time()),
            **fields,
        )


def run(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Publish ``context.job.spec.model``; answers ``{"model": "name@version"}``.

    Raises ``SourceUnavailable``, ``InvalidInput`` for a checkpoint or graph that cannot be used, ``Unsupported`` for
    one of another architecture or task, ``ParityFailed``.
    """
    if context.job.spec.base is not None:
        published: dict[str, Any] = importlib.import_module(ADAPTERS).run(context, settings)
        return published
    store = Store(settings.home)
    offer = offered(context)
    trains = importlib.util.find_spec("torch") is not None
    spec = context.job.spec
    started = time.monotonic()
    with store.staging() as staged:
        job = Import(context, offer, staged, granted_threads(settings.worker_threads))
        _refuse(job.task, trains)
        # The catalogue's models are exported wherever that can be done: such graphs are quicker, above all to adapt.
        taken = spec.source is not None and (not job.task or is_described(job.task))
        wish = GraphWish(weights=trains, always=taken, precision=spec.precision)
        job.checkpoint.mkdir()
        fetched = fetch(
            offer,
            job.checkpoint,
            progress=lambda done, size: context.tick("fetch", done, size),
            graphs=wish,
            download=store.download,
        )
        context.event(f"Fetched {len(fetched.files)} files from {fetched.source}")
        job.stage("load")
        refuse_remote_code(job.checkpoint)
        _refuse_adapter(job.checkpoint)
        found = wish.find({file.path: file.size for file in fetched.files})
        made = importlib.import_module(TRAINING).export(job) if found is None else _taken(job, found, fetched, trains)
        job.stage("publish")
        lineage = {
            "job": context.job.id,
            "source": fetched.source,
            "revision": fetched.revision,
            "seconds": round(time.monotonic() - started, 3),
        }
        entry = store.publish(staged, made.model_copy(update={"lineage": lineage}), confirm=context.confirm)
    store.set_alias(entry.name, LIVE, entry.version)
    return {"model": entry.reference}


def offered(context: JobContext) -> CatalogueEntry:
    """The catalogue's entry, or one made of the source that the request names; such a one pins no hashes."""
    spec = context.job.spec
    known = load_catalogue().get(spec.model)
    if spec.source is None:
        if known is None:
            raise ModelNotFound("The catalogue has no such model: name a source to import it from.")
        return known
    try:
        source = _source.validate_python(spec.source)
    except ValidationError:
        raise InvalidInput("The source has to be a package, hub or folder with its fields.", param="source") from None
    return CatalogueEntry(
        name=spec.model,
        title=spec.model,
        task=spec.task or "",
        modality=task_class(spec.task).modality if spec.task else "text",
        architecture="",
        licence="unknown",
        size_mb=1.0,
        sources=(source,),
    )


def _refuse_adapter(checkpoint: Path) -> None:
    """What peft saves of a fine-tuned model is no whole one."""
    if (checkpoint / CONFIG).is_file() and (checkpoint / WEIGHTS).is_file():
        message = (
            "This is an adapter made with peft, no whole model: import it with the model that it was made for, base on "
            "HTTP or `zoo import-adapter FOLDER --model NAME` on the command line."
        )
        raise InvalidInput(message, code="invalid_checkpoint", param="base")


def _refuse(task: str, trains: bool) -> None:
    """Before anything is fetched: a task that cannot be imported here."""
    if task and trains:
        importlib.import_module(TRAINING).check(task)
    elif task:
        load_description(task)


def _taken(job: Import, found: ReadyMade, fetched: Fetched, trains: bool) -> ModelEntry:
    """Ready-made graphs as they are, tried in a process of their own, compared with the weights beside them."""
    for name, path in found.graphs.items():
        os.replace(job.checkpoint / path, job.staged / name)
    for path in found.outside:
        os.replace(job.checkpoint / path, job.staged / Path(path).name)
    architecture, _ = architectures(job.checkpoint)
    draft = job.draft(job.task or head_task(job.checkpoint), architecture, precision=found.precision)
    job.stage("compare")
    tick = partial(job.stage, "compare")
    tried = try_ready_made(job.staged, job.checkpoint, draft, threads=job.threads, tick=tick)
    weights = any(file.path.endswith(".safetensors") and "/" not in file.path for file in fetched.files)
    try:
        if trains and weights:
            parity = importlib.import_module(TRAINING).compare(job, tried.entry)
            return tried.entry.model_copy(update={"parity": parity})
        reason = _NO_WEIGHTS if trains else _NO_TORCH
    except Unsupported as error:
        reason = f"its weights are of a kind that is not run in torch here ({error.code})"
    job.context.event(f"The ready-made graph answers, but is compared with nothing: {reason}", level="warn")
    shutil.rmtree(job.checkpoint)  # there is nothing in it that could be adapted
    return tried.entry.model_copy(update={"parity": {"rows": tried.rows, "compared": False, "reason": reason}})
