"""From rows to a trained network: body and numbers, features and probe, LoRA and head; then once more on all rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from adapters.datasets import FileStore
from adapters.jobs import JobContext
from adapters.training import lora
from adapters.training.activations import Activations
from adapters.training.division import Parts
from adapters.training.hyperparameters import Plan, resolve
from adapters.training.importing import checkpoint_of
from adapters.training.judging import Judged, Tick, best_share
from adapters.training.recipe import Adaptation, Item, lessons, load_recipe
from adapters.training.stopwatch import Stopwatch
from adapters.training.trainer import Rows, Trainer
from zoo.catalogue.entry import ModelEntry
from zoo.catalogue.registry import load_catalogue
from zoo.catalogue.store import Store
from zoo.errors import Unsupported

APART = 7919  # between the seeds of runs of one job


@dataclass(frozen=True)
class Run:
    """What the steps of one job share."""

    context: JobContext
    store: Store
    files: FileStore
    base: ModelEntry
    task: str
    threads: int
    watch: Stopwatch


@dataclass(frozen=True)
class Encoded:
    """The rows as the network reads them, and what enters the first adapted step for those that are trained on.

    ``features`` are the frozen body's of every view of the training rows, where a probe makes sense.
    """

    train: Sequence[Item]
    validation: Sequence[Item]
    heldout: Sequence[Item]
    activations: Activations
    features: Tensor | None = None


@dataclass(frozen=True)
class Learnt:
    """A trained adaptation, LoRA still beside its layers, and what is needed to judge and to describe it.

    ``start`` is how what it started from does on the held-out rows: a probe, or the pre-trained model where that does
    the task already; None for a new head. ``head`` are the head's weights at that start.
    """

    adaptation: Adaptation
    plan: Plan
    wrapped: Any
    trainer: Trainer
    encoded: Encoded
    start: Judged | None
    head: dict[str, Tensor]

    @property
    def heldout(self) -> Sequence[Item]:
        """The rows that it is measured on."""
        return self.encoded.heldout


def learn(job: Run, parts: Parts) -> Learnt:
    """Everything from the body to the trained network; nothing is written but the job's own checkpoints."""
    adaptation, plan = _prepare(job, parts)
    encoded, start = _start(job, adaptation, plan, parts)
    again = adaptation.defaults.refits * _batches(plan, len(parts.train) + len(parts.untrained))
    head = _copy(adaptation.head)
    wrapped, trainer = _train(job, adaptation, plan, encoded, later=again if plan.refit else 0)
    return Learnt(adaptation, plan, wrapped, trainer, encoded, start, head)


def keep(job: Run, learnt: Learnt) -> tuple[float, Judged]:
    """Go back to the start, or a part of the way, where that does better on the held-out rows: how much is kept of 1.

    And how that does there. A part of the way from a start that does well to the trained weights is often better than
    both (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
    """
    if learnt.start is None or not (learnt.plan.refit or learnt.adaptation.knows):
        return 1.0, measure(job, learnt.adaptation, learnt.heldout)
    trained = {name: weight.detach().clone() for name, weight in lora.weights(learnt.wrapped)}
    head = _copy(learnt.adaptation.head)
    found = {0.0: learnt.start}
    for share in learnt.adaptation.defaults.shares:
        _put_back(learnt, trained, head)
        _shorten(learnt, share)
        found[share] = measure(job, learnt.adaptation, learnt.heldout)
    share = best_share(found)
    _put_back(learnt, trained, head)
    _shorten(learnt, share)
    return share, found[share]


def learn_all(job: Run, parts: Parts, learnt: Learnt, *, share: float) -> Learnt:
    """Train the frozen body anew with the same numbers, on every row of the training file, and keep ``share`` of it.

    For when the figures are known: what was held out to measure is worth more as a lesson. Of several such runs the
    mean is kept (Wortsman et al., "Model soups", 2022).
    """
    adaptation, plan, encoded = learnt.adaptation, learnt.plan, learnt.encoded
    job.watch.start("refit")
    adaptation.network.body = learnt.wrapped.unload()
    rest = lessons(adaptation.encode(parts.untrained, views=plan.views))
    features = encoded.activations.gather(rest, tick=lambda done, all_: job.context.tick("refit features", done, all_))
    train = [*encoded.train, *rest]
    if encoded.features is not None and features is not None:
        _start_as_probe(adaptation, plan, train, torch.cat([encoded.features, features]))
    whole = replace(encoded, train=train, validation=())
    if not share:
        plan = replace(plan, n_epochs=0)
    head = _copy(adaptation.head)
    seed, count = job.context.job.spec.seed, adaptation.defaults.refits if share else 1
    runs: list[dict[str, Tensor]] = []
    heads: list[dict[str, Tensor]] = []
    for run in range(count):
        adaptation.head.load_state_dict(head)
        torch.manual_seed(seed + run * APART)  # a resumed run did not draw what the first one drew
        later = (count - run - 1) * _batches(plan, len(train) // plan.views)
        wrapped, trainer = _train(job, adaptation, plan, whole, stage="refit", run=run, later=later)
        runs.append({name: weight.detach().clone() for name, weight in lora.weights(wrapped)})
        heads.append(_copy(adaptation.head))
        if count > 1:
            adaptation.network.body = wrapped.unload()
    if count > 1:
        wrapped = lora.mean(adaptation.body, _names(adaptation, plan), plan.ranks, runs, base=_base_name(job))
        adaptation.network.body = wrapped
        adaptation.head.load_state_dict({name: _mean([one[name] for one in heads]) for name in head})
    times = "once more" if count == 1 else f"{count} times more, of which the mean is taken,"
    job.context.event(f"Trained {times} on all {len(train) // plan.views} rows of the training file")
    whole_run = replace(learnt, wrapped=wrapped, trainer=trainer, encoded=whole, head=head)
    _shorten(whole_run, share)
    return whole_run


def measure(job: Run, adaptation: Adaptation, items: Sequence[Item], *, stage: str = "evaluate") -> Judged:
    """How the network as it is does on some rows."""
    job.watch.start(stage)
    return _judged(adaptation, items, tick=partial(job.context.tick, stage))


def _judged(adaptation: Adaptation, items: Sequence[Item], tick: Tick | None = None) -> Judged:
    network = adaptation.network.eval()

    def outputs(chosen: Sequence[Item]) -> Tensor:
        answer: Tensor = network(**adaptation.collate(chosen))
        return answer

    return adaptation.judge(items, outputs, tick=tick)


def _copy(head: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in head.state_dict().items()}


def _put_back(learnt: Learnt, trained: dict[str, Tensor], head: dict[str, Tensor]) -> None:
    learnt.wrapped.load_state_dict(trained, strict=False)
    learnt.adaptation.head.load_state_dict(head)


@torch.no_grad()
def _shorten(learnt: Learnt, share: float) -> None:
    """Go only ``share`` of the way that training went: of LoRA's product, and of the head from its start."""
    if share == 1:
        return
    lora.scale(learnt.wrapped, share)
    for name, value in learnt.adaptation.head.state_dict().items():
        value.copy_(torch.lerp(learnt.head[name], value, share))


def _prepare(job: Run, parts: Parts) -> tuple[Adaptation, Plan]:
    """Load the body, put a new head on it, decide every number of the run."""
    job.watch.start("load")
    job.context.tick("load", 0, 1)
    checkpoint = checkpoint_of(job.store, job.base)
    recipe = load_recipe(job.task)
    if not hasattr(recipe, "adapt"):
        message = f"Models cannot be adapted to {job.task} in this release."
        raise Unsupported(message, code="unsupported_task", param="task")
    asked = job.context.job.spec.hyperparameters
    torch.manual_seed(job.context.job.spec.seed)
    adaptation = recipe.adapt(checkpoint, job.base, parts.all, labels=parts.labels, asked=asked)
    plan = resolve(
        asked,
        adaptation.defaults,
        rows=len(parts.train),
        layers=len(adaptation.steps()),
        max_tokens=adaptation.max_tokens,
    )
    return adaptation, plan


def _start(job: Run, adaptation: Adaptation, plan: Plan, parts: Parts) -> tuple[Encoded, Judged | None]:
    """Gather activations, and figures of what training starts from: on the held-out rows.

    A linear probe on the frozen body where that makes sense, which becomes the head; the pre-trained model as it is
    where it does the task; nothing for a new head of another kind.
    """
    job.watch.start("features")
    train = lessons(adaptation.encode(parts.train, views=plan.views))
    validation = adaptation.encode(parts.validation)
    with parts.measuring():
        heldout = adaptation.encode(parts.heldout)
    activations = Activations(adaptation, len(adaptation.steps()) - plan.top_layers)
    features = activations.gather(
        [*train, *lessons(validation)], tick=lambda done, all_: job.context.tick("features", done, all_)
    )
    if features is None:
        encoded = Encoded(train, validation, heldout, activations)
        return encoded, _before(job, adaptation, heldout) if adaptation.knows else None
    measured = dict(zip(heldout, activations.features(heldout), strict=True))
    job.watch.start("probe")
    encoded = Encoded(train, validation, heldout, activations, features[: len(train)])
    _start_as_probe(adaptation, plan, train, features[: len(train)])
    with torch.no_grad():
        judged = adaptation.judge(
            heldout, lambda items: adaptation.head(torch.stack([measured[item] for item in items]))
        )
    first = adaptation.headline[0]
    job.context.event(f"The frozen body with a linear probe: {first} {judged.metrics[first]:.4f} on held-out rows")
    return encoded, judged


def _before(job: Run, adaptation: Adaptation, heldout: Sequence[Item]) -> Judged:
    judged = measure(job, adaptation, heldout, stage="before")
    first = adaptation.headline[0]
    job.context.event(f"{job.base.name} as it is: {first} {judged.metrics[first]:.4f} on held-out rows")
    return judged


def _start_as_probe(adaptation: Adaptation, plan: Plan, train: Sequence[Item], features: Tensor) -> None:
    adaptation.fit_head(adaptation.head, features, [item.target for item in train], views=plan.views)


def _train(
    job: Run,
    adaptation: Adaptation,
    plan: Plan,
    encoded: Encoded,
    *,
    stage: str = "train",
    run: int = 0,
    later: int = 0,
) -> tuple[Any, Trainer]:
    """LoRA and head from the cached activations upwards; without validation rows the last state is kept.

    ``run``: of several; each sees the rows in another order. ``later``: updates of runs that will follow, for the
    estimate.
    """
    job.watch.start(stage)
    wrapped = lora.wrap(adaptation.body, _names(adaptation, plan), plan.ranks, base=_base_name(job))
    adaptation.network.body = wrapped
    folder = job.context.folder / (("training" if stage == "train" else stage) + (f"-{run + 1}" if run else ""))
    seed, outputs = job.context.job.spec.seed + run * APART, encoded.activations.outputs
    trainer = Trainer(adaptation, plan, seed=seed, folder=folder, context=job.context, stage=stage, later=later)
    validation = Rows(encoded.validation, outputs) if encoded.validation else None
    trainer.fit(Rows(encoded.train, outputs, plan.views), validation)
    return wrapped, trainer


def _names(adaptation: Adaptation, plan: Plan) -> list[str]:
    """Of the layers that get LoRA."""
    return lora.targets(adaptation.body, adaptation.steps(), top=plan.top_layers, wanted=plan.target_modules)


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean(dim=0) if values[0].is_floating_point() else values[0]


def _batches(plan: Plan, rows: int) -> int:
    return plan.n_epochs * math.ceil(rows / plan.batch_size)


def _base_name(job: Run) -> str:
    """What peft should load below the adapter: the hub's name of the weights where there is one."""
    offer = load_catalogue().get(job.base.name)
    ids = [source.id for source in (offer.sources if offer else ()) if source.kind == "hub"]
    return ids[0] if ids else job.base.reference
