"""How a body without a head for words learns to guess masked ones: low-rank changes of its layers, and a new head."""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from adapters.pretraining.books import Passage
from adapters.training.architectures.word_head import WordHead
from adapters.training.precision import fast_bfloat16, training

Batch = tuple[Tensor, Tensor, Tensor]  # ids (rows, tokens), places in it as one row, the words that stood there


@dataclass(frozen=True)
class Run:
    """Every number of a run; ``batch`` is tokens, ``cooling`` the last share of the steps.

    The rate stands still between warming up and cooling down, so that a longer run begins as a shorter one does. Of the
    whole words of a passage ``masked`` are hidden at once, fewer as it cools down, ``masked_last`` in the end: of many
    a pass learns much, few are what is asked for (Ankner et al., "Dynamic Masking Rate Schedules for MLM Pretraining",
    2024). At a rate of 1.5e-3 and rank 64 the loss stood still at 4.97 from step 465 to 568; 60 steps at a third of it
    brought 4.75.
    """

    rank: int = 64
    scale: float = 2.0
    longest: int = 128
    batch: int = 2048
    masked: float = 0.4
    masked_last: float = 0.2
    steps: int = 3000
    rate: float = 5e-4
    warm_up: int = 100
    cooling: float = 0.7
    decay: float = 0.01
    seed: int = 0


class LowRank(nn.Module):
    """``W + scale · B A`` in place of W, made once a step.

    That takes less than the two narrow products beside each wide one that peft's layers make: a step of MiniLM with
    rank 32 on all layers took 1.27 s of one core for 4,096 tokens, with peft's 1.44 s.
    """

    def __init__(self, body: nn.Module, names: Sequence[str], run: Run) -> None:
        super().__init__()
        self._weights = {name: body.get_parameter(f"{name}.weight") for name in names}
        self._scale = run.scale
        generator = torch.Generator().manual_seed(run.seed)
        self.a, self.b = nn.ParameterList(), nn.ParameterList()
        for weight in self._weights.values():  # as peft: A as a layer's weight is made, B nothing
            wide, narrow = weight.shape[0], weight.shape[1]
            self.a.append((2 * torch.rand(run.rank, narrow, generator=generator) - 1) / math.sqrt(narrow))
            self.b.append(torch.zeros(wide, run.rank))

    def forward(self) -> dict[str, Tensor]:
        """The body's changed weights by parameter name."""
        pairs = zip(self._weights.items(), self.a, self.b, strict=True)
        return {
            f"{name}.weight": torch.addmm(weight, b.to(weight.dtype), a.to(weight.dtype), alpha=self._scale)
            for (name, weight), a, b in pairs
        }

    @property
    def names(self) -> list[str]:
        """Of the layers."""
        return list(self._weights)

    @torch.no_grad()
    def give(self, wrapped: PeftModel) -> None:
        """Into peft's layers of the same rank and scale."""
        for name, a, b in zip(self._weights, self.a, self.b, strict=True):
            layer: Any = wrapped.get_submodule(f"base_model.model.{name}")
            layer.lora_A["default"].weight.copy_(a)
            layer.lora_B["default"].weight.copy_(b)


@dataclass(frozen=True, eq=False)
class Learner:
    """What learns, beside the body that does not.

    The body is held in bfloat16 where that is fast: without autocast's copies of what runs between its layers, and with
    eager attention, a step of 2,048 tokens took 0.71 s of one core instead of 0.80 s.
    """

    body: nn.Module
    changes: LowRank
    head: WordHead
    mask: int

    @classmethod
    def of(cls, body: Any, names: Sequence[str], passages: Sequence[Passage], mask: int, run: Run) -> Learner:
        """Knows how often words are: the bias of each starts as the logarithm of its share in ``passages``."""
        torch.manual_seed(run.seed)
        body.eval().requires_grad_(False).to(torch.bfloat16 if fast_bfloat16() else torch.float32)
        head = WordHead(body.get_input_embeddings().weight, epsilon=float(body.config.layer_norm_eps))
        counts = np.zeros(len(head.bias), dtype=np.int64)
        for passage in passages:
            np.add.at(counts, passage.ids[passage.words], 1)
        shares = (counts + 0.1) / (counts + 0.1).sum()
        head.bias.data.copy_(torch.from_numpy(np.log(shares)))
        return cls(body, LowRank(body, names, run), head, mask)

    def parameters(self) -> list[nn.Parameter]:
        return [*self.changes.parameters(), *self.head.parameters()]

    def logits(self, ids: Tensor, places: Tensor) -> Tensor:
        """(places, words); the places count through the rows of ``ids``."""
        hidden = functional_call(self.body, self.changes(), kwargs={"input_ids": ids}).last_hidden_state
        answers: Tensor = self.head(hidden.flatten(0, 1)[places])
        return answers

    def state(self) -> dict[str, Tensor]:
        parts = {"changes": self.changes, "head": self.head}
        return {f"{part}.{name}": tensor for part in parts for name, tensor in parts[part].state_dict().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for part, module in {"changes": self.changes, "head": self.head}.items():
            own = {
                name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")
            }
            module.load_state_dict(own)


def train(
    learner: Learner,
    passages: Sequence[Passage],
    run: Run,
    state: Path,
    say: Callable[[str], None] = print,
    *,
    every: float = 120,
) -> float:
    """AdamW; answers the seconds of CPU time that all of it took.

    ``state`` is written each so many seconds: a run that is cut off and started again goes on from there.
    """
    weights = learner.parameters()
    optimiser = torch.optim.AdamW(weights, weight_decay=run.decay, fused=True)
    done, spent = _restore(state, learner, optimiser)
    started, saved, sums = time.process_time() - spent, time.monotonic(), [0.0, 0.0]
    for step, (ids, places, words) in enumerate(_batches(passages, learner.mask, run)):
        if step < done:
            continue
        for group in optimiser.param_groups:
            group["lr"] = run.rate * warmth(step, run)
        with training():
            logits = learner.logits(ids, places)
        loss = functional.cross_entropy(logits.float(), words)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        sums = [sums[0] + float(loss.detach()) * len(words), sums[1] + len(words)]
        if time.monotonic() - saved > every or step + 1 == run.steps:
            spent = time.process_time() - started
            _save(state, learner, optimiser, (step + 1, spent))
            say(f"step {step + 1} of {run.steps}: loss {sums[0] / sums[1]:.4f}, {spent:.0f} s")
            saved, sums = time.monotonic(), [0.0, 0.0]
    return spent


def _rows(passages: Sequence[Passage], run: Run, epoch: int) -> list[list[int]]:
    """Passages of one length each, so that none is filled up, as many as a batch has room for; shuffled."""
    generator = torch.Generator().manual_seed(run.seed * 1009 + epoch)
    alike: dict[int, list[int]] = defaultdict(list)
    for place in torch.randperm(len(passages), generator=generator).tolist():
        alike[len(passages[place].ids)].append(place)
    rows: list[list[int]] = []
    for length, places in alike.items():
        room = max(1, run.batch // length)
        rows += [places[start : start + room] for start in range(0, len(places), room)]
    return [rows[place] for place in torch.randperm(len(rows), generator=generator).tolist()]


def _batches(passages: Sequence[Passage], mask: int, run: Run) -> Iterator[Batch]:
    chance = np.random.default_rng(run.seed)
    rows = itertools.chain.from_iterable(_rows(passages, run, epoch) for epoch in itertools.count())
    for step, row in enumerate(itertools.islice(rows, run.steps)):
        cold = 1 - warmth(max(step, run.warm_up), run)
        share = run.masked + cold * (run.masked_last - run.masked)
        yield hidden([passages[place] for place in row], mask, share, chance)


def hidden(passages: Sequence[Passage], mask: int, share: float, chance: np.random.Generator) -> Batch:
    """Passages of one length, in each of which a share of the whole words, at least one, is masked."""
    ids = np.stack([passage.ids for passage in passages]).astype(np.int64)
    places = np.concatenate([
        row * ids.shape[1] + chance.choice(one.words, max(1, round(share * len(one.words))), replace=False)
        for row, one in enumerate(passages)
    ])  # fmt: skip
    words = ids.flat[places]
    ids.flat[places] = mask
    return torch.from_numpy(ids), torch.from_numpy(places), torch.from_numpy(words)


def warmth(step: int, run: Run) -> float:
    """The share of the rate: up to 1 in a line, and in a line down to nothing."""
    return min(1.0, (step + 1) / run.warm_up, (run.steps - step) / (run.cooling * run.steps))


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
