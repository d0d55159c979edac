"""The import job: a pre-trained checkpoint into the zoo. Fetch, verify, export, compare with torch, publish."""

from __future__ import annotations

import functools
import operator
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from adapters.jobs import JobContext
from adapters.training import checkpoint as checkpoints
from adapters.training.export import export
from adapters.training.gate import Answer, answers_of, prove_shapes
from adapters.training.memory import discard
from adapters.training.quantisation_loss import Loss, loss_of, together
from adapters.training.quantised import quantise
from adapters.training.recipe import Servable, load_recipe
from zoo.catalogue.entry import CatalogueEntry, ModelEntry, Source
from zoo.catalogue.registry import LIVE, load_catalogue
from zoo.catalogue.sources import fetch
from zoo.catalogue.store import Store
from zoo.engine.threads import granted_threads
from zoo.errors import InvalidInput, ModelNotFound
from zoo.settings import Settings
from zoo.tasks.task import task_class

STAGES = ("fetch", "load", "export", "compare", "publish")
CHECKPOINT = "checkpoint"  # kept beside the graph: adapting starts from these weights
_source: TypeAdapter[Source] = TypeAdapter(Source)


def run(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Publish ``context.job.spec.model``; answers ``{"model": "name@version"}``.

    Raises ``SourceUnavailable``, ``InvalidInput`` for a checkpoint that cannot be used, ``Unsupported`` for one of
    another architecture or task, ``ParityFailed``.
    """
    store = Store(settings.home)
    offer = _offer(context)
    task = context.job.spec.task or offer.task
    if task:
        load_recipe(task)  # refuse before anything is fetched
    threads = granted_threads(settings.worker_threads)
    torch.set_num_threads(threads)
    started = time.monotonic()
    with store.staging() as staged:
        checkpoint = staged / CHECKPOINT
        checkpoint.mkdir()
        fetched = fetch(offer, checkpoint, progress=lambda done, size: context.tick("fetch", done, size))
        context.event(f"Fetched {len(fetched.files)} files from {fetched.source}")
        _stage(context, "load")
        checkpoints.refuse_remote_code(checkpoint)
        task = task or checkpoints.infer_task(checkpoint)
        servable = load_recipe(task).load(checkpoint)
        trained = {file: answers_of(graph) for file, graph in servable.graphs().items()}
        _stage(context, "export")
        for file, graph in servable.graphs().items():
            export(graph, staged / file)
        for graph in servable.graphs().values():
            discard(graph.module)  # before ONNX Runtime loads the same weights
        for name, path in servable.files.items():
            shutil.copyfile(path, staged / name)
        _stage(context, "compare")
        proofs = [prove_shapes(staged, answers, threads=threads, file=file) for file, answers in trained.items()]
        parity = functools.reduce(operator.or_, proofs)
        context.event(f"ONNX Runtime and torch differ by at most {parity.max_abs_difference:.2e} on {parity.rows} rows")
        precision = context.job.spec.precision or offer.precision
        figures = parity.as_dict()
        if precision == "int8":
            loss = _quantised(staged, trained, threads=threads)
            context.event(f"With weights of 8 bits: {loss.described()}")
            figures["int8"] = loss.as_dict()
        _stage(context, "publish")
        draft = _draft(context, offer, servable, task).model_copy(
            update={
                "parity": figures,
                "precision": precision,
                "lineage": {
                    "job": context.job.id,
                    "source": fetched.source,
                    "revision": fetched.revision,
                    "seconds": round(time.monotonic() - started, 3),
                },
            }
        )
        entry = store.publish(staged, draft, confirm=context.confirm)
    store.set_alias(entry.name, LIVE, entry.version)
    return {"model": entry.reference}


def _quantised(staged: Path, trained: Mapping[str, Sequence[Answer]], *, threads: int) -> Loss:
    """What weights of 8 bits cost in likeness; the graphs are rewritten when they have been proven."""
    for file in trained:
        quantise(staged / file)
    return together([loss_of(staged, answers, threads=threads, file=file) for file, answers in trained.items()])


def _stage(context: JobContext, stage: str) -> None:
    context.tick(stage, STAGES.index(stage), len(STAGES))


def _offer(context: JobContext) -> CatalogueEntry:
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


def _draft(context: JobContext, offer: CatalogueEntry, servable: Servable, task: str) -> ModelEntry:
    return ModelEntry(
        name=context.job.spec.model,
        version=1,
        task=task,
        modality=task_class(task).modality,
        architecture=servable.architecture,
        licence=offer.licence,
        title=offer.title,
        created=int(time.time()),
        labels=servable.labels,
        limits=servable.limits,
        options=servable.options,
    )


def checkpoint_of(store: Store, entry: ModelEntry) -> Path:
    """The folder of a version's own weights; raises ``InvalidInput`` (``not_adaptable``) for one that has none."""
    folder = store.folder(entry.name, entry.version) / CHECKPOINT
    if not folder.is_dir():
        base = f": adapt its base {entry.base} instead" if entry.base else ""
        message = f"{entry.name} has no weights to adapt{base}."
        raise InvalidInput(message, code="not_adaptable", param="model")
    return folder
