"""The import of an adapter, made with peft or by a job of another zoo: fetch, read, put beside its base, export, gate.

What is served has to answer as the model in torch does, peft's own where peft made it: in its graph and, where it has
one, in its place beside the body.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from adapters.importing import offered
from adapters.jobs import JobContext
from adapters.training import checkpoint as checkpoints
from adapters.training import lora
from adapters.training.export import export
from adapters.training.form import UNREAD, Form, load_form
from adapters.training.gate import each_answer, prove, prove_shapes
from adapters.training.importing import checkpoint_of
from adapters.training.kept_adapter import Kept, keep_adapter
from adapters.training.memory import discard
from adapters.training.own_adapter import OwnAdapter, body_hash
from adapters.training.peft_answers import expected_of
from adapters.training.peft_folder import PeftFolder, misfit, peft_model
from adapters.training.recipe import Batch, Servable, Size, load_recipe
from adapters.training.slot_proof import by_own_graph, choose
from zoo.catalogue.adapter import CONFIG, HEAD, WEIGHTS
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import LIVE, Registry, load_catalogue
from zoo.catalogue.sources import Fetched, fetch
from zoo.catalogue.store import Store
from zoo.engine.body import ADAPTER_FOLDER
from zoo.engine.predictor import MODEL_FILE
from zoo.engine.threads import granted_threads
from zoo.errors import InvalidInput
from zoo.settings import Settings
from zoo.tasks.task import task_class

STAGES = ("fetch", "load", "export", "compare", "publish")
_TEXTS = (".json", ".txt", ".model")
_WRITTEN = ("config.json", "model.safetensors.index.json")
_LESS = "peft's models of its task read no token_type_ids, which the body reads"
# Of sentence encoders alone: other models read as many tokens as their tokenizer and their positions allow.
_SENTENCES = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json")


@dataclass(frozen=True, eq=False)
class _Made:
    """An adapter and its base, merged, as any checkpoint is read; ``asked`` is what it is compared with.

    ``keep`` writes what stays of the adapter into a folder. ``made_for``: the model that its maker names.
    """

    task: str
    form: Form
    servable: Servable
    asked: Servable
    keep: Callable[[Path], Kept]
    made_for: str = ""


def run(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Publish ``context.job.spec.model``, an adapter on ``spec.base``; answers ``{"model": "name@version"}``.

    Raises ``SourceUnavailable``, ``InvalidInput`` (``invalid_adapter``, ``adapter_misfit``, ``labels_missing``),
    ``Unsupported``, ``ParityFailed``; nothing is published then.
    """
    spec, started = context.job.spec, time.monotonic()
    store = Store(settings.home)
    base = Registry(store, load_catalogue()).resolve(str(spec.base))
    threads = granted_threads(settings.worker_threads)
    torch.set_num_threads(threads)
    with store.staging() as staged, tempfile.TemporaryDirectory(dir=context.attempt_folder) as scratch:
        source = Path(scratch) / "source"
        fetched = fetch(
            offered(context),
            source,
            progress=lambda done, size: context.tick("fetch", done, size),
            weights=(WEIGHTS, HEAD),
        )
        context.event(f"Fetched {len(fetched.files)} files from {fetched.source}")
        _stage(context, "load")
        store.verify(base)
        checkpoint = checkpoint_of(store, base)
        if checkpoints.is_adapted(checkpoint):
            message = f"{base.reference} is itself an adapter on a body: name the body that this one was made for."
            raise InvalidInput(message, code="not_adaptable", param="base")
        made = (_made_here if (source / HEAD).exists() else _made_elsewhere)(
            context, source, checkpoint, Path(scratch) / "whole", base
        )
        _stage(context, "export")
        (staged / ADAPTER_FOLDER).mkdir()
        kept = made.keep(staged / ADAPTER_FOLDER)
        export(made.servable, staged / MODEL_FILE)
        if made.asked is not made.servable:
            discard(made.servable.module)
        for name, path in made.servable.files.items():
            shutil.copyfile(path, staged / name)
        _stage(context, "compare")
        draft = _draft(context, base, made, fetched)
        expected = expected_of(made.form, made.asked, draft, staged)
        parity = prove_shapes(staged, each_answer(made.asked), threads=threads)
        parity |= prove(staged, draft, expected, threads=threads)
        context.event(f"ONNX Runtime and torch differ by at most {parity.max_abs_difference:.2e} on {parity.rows} rows")
        served = kept.own or choose(
            store.folder(base.name, base.version), staged, draft, kept.readout, expected, threads=threads
        )
        context.event(served.told)
        lineage = {**draft.lineage, "seconds": round(time.monotonic() - started, 3)}
        draft = served.of(draft.model_copy(update={"parity": parity.as_dict(), "lineage": lineage}))
        _stage(context, "publish")
        entry = store.publish(staged, draft, confirm=context.confirm)
    store.set_alias(entry.name, LIVE, entry.version)
    return {"model": entry.reference}


def _stage(context: JobContext, stage: str) -> None:
    context.tick(stage, STAGES.index(stage), len(STAGES))


def _made_here(context: JobContext, source: Path, checkpoint: Path, whole: Path, base: ModelEntry) -> _Made:
    """By a job of this service, or of another one's: compared with what it makes of the base in torch."""
    own, spec = OwnAdapter.read(source), context.job.spec
    if spec.task is not None and spec.task != own.task:
        message = f"The adapter was made for {own.task}, not {spec.task[:64]}: leave the task out."
        raise InvalidInput(message, code="wrong_task", param="task")
    form = load_form(own.task)
    if own.body != body_hash(base):
        raise misfit(base.reference, "it was learnt on other weights than the base's")
    labels = own.named(spec.labels)
    context.event(f"An adapter for {own.task}, made by a job, on the weights of {base.reference}")
    own.lay_beside(checkpoint, whole, labels=labels)
    servable = load_recipe(own.task).load(whole)

    def keep(folder: Path) -> Kept:
        own.keep(folder, labels=labels)
        return Kept(own.readout)

    return _Made(own.task, form, servable, servable, keep)


def _made_elsewhere(context: JobContext, source: Path, checkpoint: Path, whole: Path, base: ModelEntry) -> _Made:
    """With peft: compared with what peft answers, not with what was merged."""
    spec = context.job.spec
    folder = PeftFolder.read(source, task=spec.task)
    form = load_form(folder.task)
    if spec.labels is not None and not form.labelled:
        raise InvalidInput(f"Answers of {folder.task} have no labels: leave them out.", param="labels")
    wrapped = peft_model(folder, checkpoint, form, base=base.reference)
    named = f"made for {folder.made_for}" if folder.made_for else "which names no model that it was made for"
    context.event(f"An adapter for {folder.task}, {named}, fits {base.reference}")
    merged: Any = lora.merged(wrapped)
    if form.labelled:
        labels = folder.labels(int(merged.config.num_labels), spec.labels)
        merged.config.id2label = dict(enumerate(labels))
        merged.config.label2id = {label: place for place, label in enumerate(labels)}
        merged.config.problem_type = folder.problem_type
    _write_whole(whole, checkpoint, merged, sentences=not form.headed)
    read = load_recipe(folder.task).load(whole)
    unread = [name for name in UNREAD.get(folder.task_type or "", ()) if name in read.inputs]
    servable = _without(read, unread)

    def keep(into: Path) -> Kept:
        kept = keep_adapter(folder.adapter, merged, form, into, base=base.reference)
        discard(merged)  # read again from its checkpoint
        return replace(kept, own=kept.own or (by_own_graph(_LESS) if unread else None))

    asked = replace(servable, module=form.network(wrapped).eval())
    return _Made(folder.task, form, servable, asked, keep, made_for=folder.made_for)


def _without(servable: Servable, unread: Sequence[str]) -> Servable:
    """The same for a graph that takes fewer inputs."""

    def example(rows: int, size: Size) -> Batch:
        return {name: values for name, values in servable.example(rows, size).items() if name not in unread}

    inputs = tuple(name for name in servable.inputs if name not in unread)
    return replace(servable, inputs=inputs, example=example)


def _write_whole(whole: Path, checkpoint: Path, merged: Any, *, sentences: bool) -> None:
    """A checkpoint in hub layout of the merged model; ``sentences``: with the modules that follow the body."""
    merged.save_pretrained(whole, safe_serialization=True)
    left = (*_WRITTEN, *(() if sentences else _SENTENCES))
    for path in checkpoint.iterdir():
        if path.suffix in _TEXTS and path.name not in left:
            shutil.copyfile(path, whole / path.name)
    for path in checkpoint.glob("[0-9]*_*") if sentences else ():
        shutil.copytree(path, whole / path.name)


def _draft(context: JobContext, base: ModelEntry, made: _Made, fetched: Fetched) -> ModelEntry:
    servable = made.servable
    return ModelEntry(
        name=context.job.spec.model,
        version=1,
        task=made.task,
        modality=task_class(made.task).modality,
        architecture=servable.architecture,
        licence=base.licence,
        title=f"{base.name} with an adapter made elsewhere",
        created=int(time.time()),
        base=base.reference,
        labels=servable.labels,
        limits=servable.limits,
        options=servable.options,
        lineage={
            "job": context.job.id,
            "source": fetched.source,
            "revision": fetched.revision,
            "made_for": made.made_for,
            "adapter": {file.path: file.sha256 for file in fetched.files if file.path in (CONFIG, WEIGHTS)},
        },
    )
