"""The fine-tune job, top to bottom: read, split, features, probe, LoRA, export, gate, publish."""

from __future__ import annotations

import csv
import io
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch

from adapters.datasets import FileStore
from adapters.jobs import JobContext
from adapters.training import lora
from adapters.training.card import write_card
from adapters.training.division import Parts, divide
from adapters.training.eight_bits import choose_precision
from adapters.training.export import export
from adapters.training.gate import Expected, prove
from adapters.training.graft import changed
from adapters.training.hyperparameters import Plan
from adapters.training.judging import Judged
from adapters.training.learning import Run, keep, learn, learn_all, measure
from adapters.training.own_adapter import write_about
from adapters.training.recipe import Adaptation
from adapters.training.slot_proof import choose
from adapters.training.stopwatch import Stopwatch
from adapters.training.texts.languages import between
from adapters.training.trainer import Trainer
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import LIVE, Registry, load_catalogue
from zoo.catalogue.store import Store
from zoo.engine.threads import granted_threads
from zoo.settings import Settings
from zoo.tasks.ready_made.answers import OPTION
from zoo.tasks.task import task_class

ADAPTER = "adapter"


def run(context: JobContext, settings: Settings) -> dict[str, Any]:
    """Adapt a model to a data file and publish the result; answers what the job object shows as its result.

    Raises ``InvalidInput``, ``InvalidDataset``, ``ParityFailed`` and ``ZooError``; nothing is published then.
    """
    spec = context.job.spec
    store = Store(settings.home)
    base = Registry(store, load_catalogue()).resolve(spec.model)
    store.verify(base)
    threads = granted_threads(settings.worker_threads)
    torch.set_num_threads(threads)
    watch, files = Stopwatch(), FileStore(settings.home, settings)
    watch.start("split")
    context.tick("read", 0, 1)
    parts = divide(spec, files)
    base = between(base, parts.report.columns)
    job = Run(context, store, files, base, parts.report.task, threads, watch)
    context.event(
        f"Rows: {len(parts.train)} to train on, {len(parts.validation)} to choose by, {len(parts.heldout)} held out"
    )
    learnt = learn(job, parts)
    adaptation, plan, trainer = learnt.adaptation, learnt.plan, learnt.trainer
    first = adaptation.headline[0]
    started = "probe" if adaptation.probes else "before"
    start = {started: {name: learnt.start.metrics[name] for name in adaptation.headline}} if learnt.start else {}
    tokens = trainer.progress.tokens
    with store.staging() as staged:
        share, judged = keep(job, learnt)
        if plan.refit or share < 1:
            score = judged.metrics[first]
            context.event(f"Of the training {share:.0%} is kept: {first} {score:.4f} on held-out rows")
        published = judged
        if plan.refit:
            learnt = learn_all(job, parts, learnt, share=share)
            tokens += learnt.trainer.progress.tokens
            published = measure(job, adaptation, learnt.heldout)
        lora.save(learnt.wrapped, adaptation.head, staged / ADAPTER)
        write_about(staged / ADAPTER, adaptation, job.task, base)
        _export(job, adaptation, learnt.wrapped, staged)
        metrics = judged.metrics
        figures = {"heldout": metrics, "history": trainer.progress.history, **start}
        draft = _draft(job, adaptation, plan, parts).model_copy(update={"metrics": figures})
        job.watch.start("gate")
        tick = partial(context.tick, "gate")
        expected = _expected(adaptation, parts, published)
        parity = prove(staged, draft, expected, threads=threads, tick=tick)
        own = store.folder(base.name, base.version)
        path = choose(own, staged, draft, adaptation.readout, expected, threads=threads)
        context.event(path.told)
        draft = path.of(draft.model_copy(update={"parity": parity.as_dict()}))
        if spec.precision == "int8":
            job.watch.start("precision")
            tick = partial(context.tick, "precision")
            known = learnt.encoded.train[:: plan.views]
            trial = choose_precision(staged, adaptation, learnt.heldout, known=known, seed=spec.seed, tick=tick)
            context.event(trial.told)
            draft = trial.of(draft)
        draft = draft.model_copy(update={"metrics": {**draft.metrics, "seconds": job.watch.stop()}})
        with_head = (staged / ADAPTER / lora.HEAD_FILE).is_file()
        card = write_card(draft, parts.counts(), adaptation.headline, with_head=with_head)
        (staged / "README.md").write_text(card, encoding="utf-8")
        entry = store.publish(staged, draft, confirm=context.confirm)
    store.set_alias(entry.name, LIVE, entry.version)
    context.event(f"Published {entry.reference}: {first} {metrics[first]:.4f} on {metrics['rows']} held-out rows")
    return {
        "fine_tuned_model": entry.reference,
        "trained_tokens": tokens,
        "result_files": [_result_file(job, trainer)],
        "metrics": {"heldout": {name: metrics[name] for name in ("rows", *adaptation.headline)}, **start},
        "hyperparameters": plan.as_dict(),
    }


def _expected(adaptation: Adaptation, parts: Parts, judged: Judged) -> Expected:
    """What the gate is to find of the held-out rows, served."""
    requests = [adaptation.request(example) for example in parts.heldout]

    def compare(place: int, row: Any, body: object) -> tuple[float, bool]:
        return adaptation.compare(judged.answers[place], row, body, parts.heldout[place])

    return Expected(requests, compare, judged.largest)


def _export(job: Run, adaptation: Adaptation, wrapped: Any, staged: Path) -> None:
    job.watch.start("export")
    job.context.tick("export", 0, 1)
    folder = job.store.folder(job.base.name, job.base.version)
    merged = lora.merged(wrapped)
    files = list(adaptation.servable().graphs())
    own = OPTION not in job.base.options  # a ready-made graph is of another form than what is adapted
    found = changed([folder / file for file in files], lora.changes(wrapped, merged)) if own else None
    grafted = dict(zip(files, found, strict=True)) if found is not None else {}
    if grafted and adaptation.extend(grafted):
        for file, model in grafted.items():
            onnx.save(model, staged / file)
    else:
        adaptation.network.body = merged
        for file, graph in adaptation.servable().graphs().items():
            export(graph, staged / file)
    for name, path in adaptation.servable().files.items():
        shutil.copyfile(path, staged / name)


def _draft(job: Run, adaptation: Adaptation, plan: Plan, parts: Parts) -> ModelEntry:
    spec = job.context.job.spec
    servable = adaptation.servable()
    name = spec.suffix or f"{job.base.name[:40]}-{job.context.job.id[-8:]}".lower()
    return ModelEntry(
        name=name,
        version=1,
        task=job.task,
        modality=task_class(job.task).modality,
        architecture=servable.architecture,
        licence=job.base.licence,
        title=f"{job.base.name} adapted to {_subject(adaptation, parts)}",
        created=int(time.time()),
        base=job.base.reference,
        labels=servable.labels,
        limits=servable.limits,
        options=servable.options,
        lineage={
            "job": job.context.job.id,
            "training_file": spec.training_file,
            "training_sha256": parts.sha256,
            "seed": spec.seed,
            "hyperparameters": plan.as_dict(),
            "rows": parts.counts(),
        },
    )


def _subject(adaptation: Adaptation, parts: Parts) -> str:
    return f"{len(adaptation.labels)} labels" if len(adaptation.labels) > 1 else f"{len(parts.train)} examples"


def _result_file(job: Run, trainer: Trainer) -> str:
    """A CSV of the figures by step, readable under ``/v1/files``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(trainer.progress.history[0]))
    writer.writeheader()
    writer.writerows(trainer.progress.history)
    name = f"{job.context.job.id}-metrics.csv"
    return job.files.add(text.getvalue().encode(), filename=name, purpose="fine-tune-results").id
