"""What an import needs torch for: a checkpoint exported and compared, a ready-made graph compared with its weights."""

from __future__ import annotations

import functools
import operator
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adapters.importing import Import
from adapters.training import checkpoint as checkpoints
from adapters.training.export import export as export_graph
from adapters.training.gate import Answer, Parity, answers_of, each_answer, prove_shapes, refusing, same_answers
from adapters.training.kept_answers import KeptAnswers
from adapters.training.memory import discard, give_back
from adapters.training.quantisation_loss import Loss, loss_between, loss_of, together
from adapters.training.quantised import quantise
from adapters.training.recipe import Servable, load_recipe
from adapters.training.slots import Weight, add_slots, linear_weights
from adapters.training.texts.ready_made import written
from zoo.catalogue.entry import CHECKPOINT, ModelEntry
from zoo.catalogue.store import Store
from zoo.engine.predictor import MODEL_FILE
from zoo.engine.session import Sessions
from zoo.errors import InvalidInput, ParityFailed, Unsupported
from zoo.tasks.ready_made.answers import runs_of

_WAY_OUT = "Its .onnx files and its safetensors are not of one model: take one of them away and import again."


def check(task: str) -> None:
    """Raise ``Unsupported`` for a task that this release cannot import."""
    load_recipe(task)


def export(job: Import) -> ModelEntry:
    """Export the checkpoint and compare what will be served with torch: the version, but for its lineage."""
    torch.set_num_threads(job.threads)
    task = job.task or checkpoints.infer_task(job.checkpoint)
    servable = load_recipe(task).load(job.checkpoint)
    with tempfile.TemporaryDirectory(dir=job.context.attempt_folder) as folder:
        figures = _exported(job, servable, Path(folder))
    return job.draft(
        task,
        servable.architecture,
        labels=servable.labels,
        limits=servable.limits,
        options=servable.options,
        precision=job.precision,
        parity=figures,
    )


def _exported(job: Import, servable: Servable, folder: Path) -> dict[str, Any]:
    """Write every graph and compare it with torch, whose answers lie in ``folder`` meanwhile: the gate's figures."""
    trained = {file: KeptAnswers(each_answer(graph), folder / file) for file, graph in servable.graphs().items()}
    job.stage("export")
    for file, graph in servable.graphs().items():
        export_graph(graph, job.staged / file)
    linears = linear_weights(servable.body) if servable.body is not None else {}
    for graph in servable.graphs().values():
        discard(graph.module)  # before ONNX Runtime loads the same weights
    for name, path in servable.files.items():
        shutil.copyfile(path, job.staged / name)
    job.stage("compare")
    proofs: list[Parity] = []
    for file, answers in trained.items():
        proofs.append(prove_shapes(job.staged, answers, threads=job.threads, file=file))
        give_back()  # what one graph needed, before the next is loaded
    parity = functools.reduce(operator.or_, proofs)
    job.context.event(f"ONNX Runtime and torch differ by at most {parity.max_abs_difference:.2e} on {parity.rows} rows")
    figures = parity.as_dict()
    if job.precision == "fp32":
        _add_slots(job, servable, linears, folder)
    if job.precision == "int8":
        loss = _quantised(job.staged, trained, threads=job.threads)
        job.context.event(f"With weights of 8 bits: {loss.described()}")
        figures["int8"] = loss.as_dict()
    return figures


def _add_slots(job: Import, servable: Servable, linears: Mapping[str, Weight], folder: Path) -> None:
    """Write the body's graph with slots for adapters, where it has linear layers; ``folder`` is for what goes again."""
    source = job.staged / MODEL_FILE
    if servable.bare is not None:
        try:
            bare = servable.bare()
        except Unsupported:  # what can be served but not adapted
            return
        source, linears = folder / "bare.onnx", linear_weights(bare.module)
        export_graph(bare, source)
        discard(bare.module)
    if linears:
        table = add_slots(job.staged, source, linears)
        give_back()
        job.context.event(f"Adapters can stand beside {len(table.linears)} of the body's {len(linears)} linear layers")


def compare(job: Import, entry: ModelEntry) -> dict[str, Any]:
    """The gate's figures for ready-made graphs beside their weights; raises ``ParityFailed`` where the two disagree."""
    torch.set_num_threads(job.threads)
    servable = load_recipe(entry.task).load(job.checkpoint)
    with refusing(f"The ready-made graph cannot be run on what its weights answer. {_WAY_OUT}"):
        if servable.further:
            trained, served = written(servable, entry, job.staged, threads=job.threads)
        else:
            trained = [_typed(answer) for answer in answers_of(servable)]
            runs = runs_of(Sessions(job.staged, main=MODEL_FILE, threads=job.threads), entry.options)
            served = [runs(answer.inputs) for answer in trained]
    if entry.precision == "int8":
        loss = loss_between(zip(trained, served, strict=True))
        job.context.event(f"Ready-made, with weights of 8 bits: {loss.described()}")
        return {"rows": loss.rows, "compared": True, "int8": loss.as_dict()}
    try:
        parity = same_answers(zip(trained, served, strict=True))
    except ParityFailed as error:
        raise ParityFailed(f"{error.message} {_WAY_OUT}", param="source") from error
    told = f"{parity.max_abs_difference:.2e} on {parity.rows} rows"
    job.context.event(f"The ready-made graph and its weights in torch differ by at most {told}")
    return {**parity.as_dict(), "compared": True}


def _typed(answer: Answer) -> Answer:
    """With the numbers of a pair's two texts, which some graphs take where torch does without."""
    zeros = np.zeros_like(answer.inputs["input_ids"])
    return replace(answer, inputs={"token_type_ids": zeros, **answer.inputs})


def _quantised(staged: Path, trained: Mapping[str, Sequence[Answer]], *, threads: int) -> Loss:
    """What weights of 8 bits cost in likeness; the graphs are rewritten when they have been proven."""
    if not sum(quantise(staged / file) for file in trained):
        message = (
            "The model's work is convolutions, which rows of data have to be there for to be rounded: "
            "import it with precision fp32, and give precision int8 to the job that adapts it."
        )
        raise Unsupported(message, code="unsupported_precision", param="precision")
    return together([loss_of(staged, answers, threads=threads, file=file) for file, answers in trained.items()])


def checkpoint_of(store: Store, entry: ModelEntry) -> Path:
    """The folder of a version's own weights; raises ``InvalidInput`` (``not_adaptable``) for one that has none."""
    folder = store.folder(entry.name, entry.version) / CHECKPOINT
    if not folder.is_dir():
        way = f"adapt its base {entry.base} instead" if entry.base else "import it again from a source with safetensors"
        message = f"{entry.name} has no weights to adapt: {way}."
        raise InvalidInput(message, code="not_adaptable", param="model")
    return folder
