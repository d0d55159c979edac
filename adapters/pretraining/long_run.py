"""A run of hours that teaches a frozen body by low-rank changes and a head: cut off and gone on with at will."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call
from transformers import AutoModel

from adapters.pretraining.low_rank import LowRank
from adapters.pretraining.texts import network_of
from adapters.training import lora
from adapters.training.encoder import load_weights
from adapters.training.hyperparameters import Ranks
from adapters.training.layouts.adapted import write_adapted
from adapters.training.precision import fast_bfloat16


@dataclass(frozen=True)
class Steps:
    """The numbers of a run that do not depend on what is learnt; ``longest`` is tokens of a row.

    ``cooling`` is the last share of the steps. The rate stands still between warming up and cooling down, so that a
    longer run begins as a shorter one does.
    """

    steps: int
    rank: int = 64
    scale: float = 2.0
    longest: int = 128
    rate: float = 5e-4
    warm_up: int = 100
    cooling: float = 0.7
    decay: float = 0.01
    seed: int = 0

    def warmth(self, step: int) -> float:
        """The share of the rate: up to 1 in a line, and in a line down to nothing."""
        return min(1.0, (step + 1) / self.warm_up, (self.steps - step) / (self.cooling * self.steps))


@dataclass(frozen=True, eq=False)
class Learner:
    """What a run changes, ``changes`` and ``head``, beside the body that it does not."""

    body: nn.Module
    changes: LowRank
    head: nn.Module

    def parameters(self) -> list[nn.Parameter]:
        """What is learnt now."""
        return [one for one in (*self.changes.parameters(), *self.head.parameters()) if one.requires_grad]

    def hold(self, layers: int) -> None:
        """The lowest layers stay as they are from now on: the way back ends above them."""
        self.changes.hold(tuple(f"encoder.layer.{layer}." for layer in range(layers)))

    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """The mean over what is asked for in a batch, and how much that is."""
        raise NotImplementedError

    def states(self, **inputs: Tensor) -> Tensor:
        """(rows, tokens, width): what the changed body makes of its inputs."""
        found: Tensor = functional_call(self.body, self.changes(), kwargs=inputs).last_hidden_state
        return found

    def state(self) -> dict[str, Tensor]:
        parts = {"changes": self.changes, "head": self.head}
        return {f"{part}.{name}": tensor for part in parts for name, tensor in parts[part].state_dict().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """From what ``state`` gave; other tensors are passed over."""
        for part, module in {"changes": self.changes, "head": self.head}.items():
            own = {
                name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")
            }
            module.load_state_dict(own)

    def write(self, folder: Path, run: Steps, *, base: str, task: str, **options: Any) -> None:
        """Adapter, head and ``config.json``; the body is fetched with them when the starter is pulled."""
        described = network_of(self.body)
        wrapped = lora.wrap(self.body, self.changes.names, Ranks(run.rank, run.rank * run.scale), base=base)
        self.changes.give(wrapped)
        write_adapted(folder, wrapped, self.head, labels=(), **described, **options, task=task)


def changed_body(checkpoint: Path, run: Steps) -> tuple[Any, LowRank]:
    """The checkpoint's body, frozen, and changes of all its layers that do nothing yet; what is drawn next is seeded.

    The body is held in bfloat16 where that is fast: without autocast's copies of what runs between its layers, and with
    eager attention, a step of 2,048 tokens of masked words took 0.71 s of one core instead of 0.80 s.
    """
    body: Any = load_weights(AutoModel, checkpoint, attention="eager")
    body.eval().requires_grad_(False).to(torch.bfloat16 if fast_bfloat16() else torch.float32)
    names = lora.targets(body, list(lora.blocks(body)[1]))
    torch.manual_seed(run.seed)
    return body, LowRank(body, names, rank=run.rank, scale=run.scale, seed=run.seed)


def train(
    learner: Learner,
    batches: Iterable[Any],
    run: Steps,
    state: Path,
    say: Callable[[str], None] = print,
    *,
    every: float = 120,
) -> float:
    """AdamW; answers the seconds of CPU time that all of it took.

    ``state`` is written each so many seconds: a run that is cut off and started again, with the same batches, goes on
    from there and ends with the same bits.
    """
    weights = learner.parameters()
    optimiser = torch.optim.AdamW(weights, weight_decay=run.decay, fused=True)
    done, spent = _restore(state, learner, optimiser)
    started, saved, sums = time.process_time() - spent, time.monotonic(), [0.0, 0.0]
    for step, batch in enumerate(itertools.islice(batches, run.steps)):
        if step < done:
            continue
        for group in optimiser.param_groups:
            group["lr"] = run.rate * run.warmth(step)
        loss, count = learner.loss(batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        sums = [sums[0] + float(loss.detach()) * count, sums[1] + count]
        if time.monotonic() - saved > every or step + 1 == run.steps:
            spent = time.process_time() - started
            _save(state, learner, optimiser, (step + 1, spent))
            say(f"step {step + 1} of {run.steps}: loss {sums[0] / sums[1]:.4f}, {spent:.0f} s")
            saved, sums = time.monotonic(), [0.0, 0.0]
    return spent


def _save(path: Path, learner: Learner, optimiser: torch.optim.Optimizer, at: tuple[int, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = learner.state()
    for place, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{place}.{name}": tensor for name, tensor in moments.items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, str(temporary), metadata={"step": str(at[0]), "seconds": str(at[1])})
    temporary.rename(path)


def _restore(path: Path, learner: Learner, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    """Steps done and seconds spent."""
    if not path.is_file():
        return 0, 0.0
    with safe_open(path, framework="pt") as file:
        told, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    learner.restore(tensors)
    moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, place, of = name.split(".")
            moments[int(place)][of] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": dict(moments), "param_groups": groups})
    return int(told["step"]), float(told["seconds"])
