"""Starters that are adaptations: trained by the very steps of a user's job.

What was learnt is written in float16, adapter and head: the body is fetched when one is pulled.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from adapters import importing
from adapters.datasets import FileStore
from adapters.jobs import Hyperparameters, Job, JobKind, JobSpec
from adapters.pretraining.starter import command, starter_folder
from adapters.training.division import Parts, divide
from adapters.training.learning import Learnt, Run, learn, measure
from adapters.training.stopwatch import Stopwatch
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.store import Store
from zoo.engine.threads import granted_threads
from zoo.settings import Settings

NOUNS = {"image": "pictures", "audio": "clips", "text": "texts"}


@dataclass(frozen=True)
class Recipe:
    """One starter: the data set's folder, what a job would be asked, how the network is written, what the card says.

    ``files`` is the name of its parts, in which ``{}`` stands for train and test.
    """

    name: str
    data: str
    about: str
    licence: str
    weaknesses: str
    write: Callable[[Learnt, Path], None]
    files: str = "{}.zip"
    task: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    asked: Hyperparameters = field(default_factory=Hyperparameters)
    base: str = "effnet-lite0"
    seed: int = 0


@dataclass
class Progress:
    """A job context that prints; what it trains is kept in ``folder`` and goes on from there when started again."""

    job: Job
    folder: Path
    _said: float = 0.0

    @property
    def attempt_folder(self) -> Path:
        """The same: there is one attempt at a time."""
        return self.folder

    def tick(self, stage: str, step: int, total: int, *, save: Any = None, eta_seconds: Any = None, **_: float) -> None:
        """A line each half minute."""
        if time.monotonic() - self._said > 30:
            self._said = time.monotonic()
            left = f", about {eta_seconds / 60:.0f} min left" if eta_seconds else ""
            print(f"{stage}: {step} of {total}{left}", flush=True)

    def event(self, message: str, **_: Any) -> None:
        """A line each."""
        print(message, flush=True)

    def checkpointed(self, step: int, **_: float) -> None:
        """Nothing to tell anyone."""

    def confirm(self) -> None:
        """Nobody else can hold this job."""


def main(recipe: Recipe) -> None:
    """Train on the train part, measure on the test part, write the starter's folder."""
    asked = command(recipe.name, data=f"{recipe.data}, train and test").parse_args()
    settings = Settings(home=asked.state)
    threads = granted_threads(settings.worker_threads)
    torch.set_num_threads(threads)
    store, files = Store(settings.home), FileStore(settings.home, settings)
    base = recipe.base
    ensure_base(base, settings)
    spec = JobSpec(
        kind=JobKind.ADAPT,
        model=f"{base}@1",
        task=recipe.task,
        columns=recipe.columns,
        training_file=_stored(files, asked.data / recipe.data / recipe.files.format("train")),
        validation_file=_stored(files, asked.data / recipe.data / recipe.files.format("test")),  # not chosen by
        hyperparameters=recipe.asked,
        seed=recipe.seed,
    )
    parts = divide(spec, files)
    context = _context(spec, asked.state / recipe.name)
    job = Run(context, store, files, store.entry(base, 1), parts.report.task, threads, Stopwatch())
    started = time.process_time()  # other work on the machine does not count
    learnt = learn(job, parts)
    seconds = time.process_time() - started
    network = learnt.adaptation.network
    learnable = (weight for weight in network.parameters() if weight.requires_grad)
    with torch.no_grad():  # measured is what is written
        for values in learnable:
            values.copy_(values.half().float())
    figures = measure(job, learnt.adaptation, learnt.heldout).metrics
    folder = starter_folder(recipe.name)
    recipe.write(learnt, folder)
    (folder / "README.md").write_text(_card(recipe, learnt, parts, figures, seconds), encoding="utf-8")
    print(recipe.name, {name: figures[name] for name in learnt.adaptation.headline})


def ensure_base(base: str, settings: Settings) -> None:
    """Import a model of the catalogue that is not there yet."""
    if base not in Store(settings.home).names():
        importing.run(_context(JobSpec(kind=JobKind.IMPORT, model=base), settings.home / base), settings)


def _context(spec: JobSpec, folder: Path) -> Progress:
    folder.mkdir(parents=True, exist_ok=True)
    return Progress(Job(id=f"ftjob-{folder.name}", spec=spec, created_at=time.time()), folder)


def _stored(files: FileStore, path: Path) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()

    record = asyncio.run(files.receive(chunks(), filename=path.name, purpose="fine-tune"))
    if record.status == "uploaded":  # too much to be read while a client waits
        files.inspect(record.id)
    return record.id


def _card(recipe: Recipe, learnt: Learnt, parts: Parts, figures: dict[str, Any], seconds: float) -> str:
    offer = load_catalogue()[recipe.base]
    plan = {name: value for name, value in learnt.plan.as_dict().items() if name != "refit"}  # the first run is kept
    noun = NOUNS[offer.modality]
    headline = learnt.adaptation.headline
    classes = f"Classes: {', '.join(learnt.adaptation.labels)}. " if learnt.adaptation.labels else ""
    probe = f"; a linear probe on the frozen base: {_scores(learnt.start.metrics, headline)}" if learnt.start else ""
    scores = _scores(figures, headline)
    numbers = ", ".join(f"{name} {value}" for name, value in plan.items() if value is not None)
    return f"""# {recipe.name}

{recipe.about} {classes}Adapter and head in float16.

- Data: {recipe.licence} {len(parts.train)} {noun} to train on, {len(parts.validation)} to choose the best state by.
- Base: {offer.title}, {offer.licence}.
- Recipe: `python -m adapters.pretraining.{recipe.name.replace("-", "_")} DATA`, seed {recipe.seed}; {numbers}.
- Training took {seconds / 60:.0f} minutes of CPU time.
- On the {figures["rows"]} {noun} of the test part: {scores}{probe}.
- Weaknesses: {recipe.weaknesses}
"""


def _scores(figures: dict[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {figures[name]:.4f}" for name in names)
