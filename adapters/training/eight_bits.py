"""Whether an adapted version is served with weights of 8 bits: if held-out rows bear it, and if it is faster here."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from adapters.training.features import by_length
from adapters.training.judging import Tick
from adapters.training.quantised import quantise
from adapters.training.recipe import Adaptation, Item, Outputs, lessons
from adapters.training.static_quantisation import Feeds, is_convolutional, quantise_convolutions
from zoo.catalogue.entry import ModelEntry
from zoo.engine.body import SERVED_BY, WHY
from zoo.engine.predictor import MODEL_FILE
from zoo.engine.session import Session

MOST_LOSS = 0.005  # of the score, as a share of 1
RESAMPLES, LEVEL = 200, 0.95
FASTER = 0.95  # of the time in float32: what 8 bits may take at most
# Times that a batch is run, of which the quickest counts: run once, 36 held-out pictures were 1.03 times as fast in 8
# bits where they are 1.35 to 1.55 times. After so many seconds there are batches enough.
TURNS, ENOUGH = 3, 10.0
KNOWN = 128  # rows that fix the scales of a convolutional network
Kept = Mapping[int, Tensor]
"""What a graph answers to an item, by the item's identity."""


@dataclass(frozen=True)
class Trial:
    """What 8 bits did to the held-out rows.

    ``loss``: how much of the score (accuracy, F1) they cost; ``most_loss``: with 95 % certainty no more than that.
    ``milliseconds`` for all rows, each batch at its quickest, with one thread, beside those of float32.
    """

    rows: int
    loss: float
    most_loss: float
    milliseconds: float
    fp32_milliseconds: float

    @property
    def why_not(self) -> str | None:
        """The reason against them, if there is one."""
        if not self.most_loss <= MOST_LOSS:  # also for what is no number
            return f"held-out rows may lose {self.most_loss:.2%} by it, more than {MOST_LOSS:.1%}"
        if self.milliseconds > FASTER * self.fp32_milliseconds:
            return f"it is not faster here: {self.milliseconds:.0f} ms instead of {self.fp32_milliseconds:.0f}"
        return None

    @property
    def told(self) -> str:
        """For the job's events."""
        if self.why_not is not None:
            return f"Not served with weights of 8 bits: {self.why_not}"
        faster = self.fp32_milliseconds / self.milliseconds
        return f"Served with weights of 8 bits: {faster:.2f} times as fast, and at most {self.most_loss:.2%} are lost"

    def of(self, entry: ModelEntry) -> ModelEntry:
        """The entry with it."""
        proven = entry.model_copy(update={"parity": entry.parity | {"int8": asdict(self) | {"why_not": self.why_not}}})
        if self.why_not is not None:
            return proven
        own = {SERVED_BY: "merged", WHY: "its weights have 8 bits, those of its body have not"}
        return proven.model_copy(update={"precision": "int8", "options": {**entry.options, **own}})


def choose_precision(
    staged: Path,
    adaptation: Adaptation,
    items: Sequence[Item],
    *,
    known: Sequence[Item],
    seed: int,
    tick: Tick = lambda done, all_: None,
) -> Trial:
    """Put the graph of 8 bits into the place of the other where it does as well and is faster; ``items``: held out.

    ``known``: lessons that it was trained on, by which a convolutional network is rounded.

    The bound is the paired bootstrap's, on the same rows for both (Efron and Tibshirani, "An Introduction to the
    Bootstrap", 1993, ch. 13).
    """
    rounded = staged / f"rounded-{MODEL_FILE}"
    shutil.copyfile(staged / MODEL_FILE, rounded)
    if is_convolutional(rounded):
        quantise_convolutions(rounded, [feeds for _, feeds in _feeds(adaptation, known[:KNOWN])])
    else:
        quantise(rounded)
    files = (staged / MODEL_FILE, rounded)
    answers, seconds = _run(adaptation, lessons(items), [Session(path, threads=1) for path in files])
    exact, coarse = (_as_outputs(one) for one in answers)

    def lost(chosen: Sequence[Item]) -> float:
        scores = [adaptation.judge(chosen, outputs).metrics["score"] for outputs in (exact, coarse)]
        return float(scores[0] - scores[1])

    draw, losses = np.random.default_rng(seed), []
    for done in range(RESAMPLES):
        tick(done, RESAMPLES)
        losses.append(lost([items[place] for place in draw.integers(len(items), size=len(items))]))
    trial = Trial(
        rows=len(items),
        loss=lost(items),
        most_loss=float(np.quantile(losses, LEVEL)),
        milliseconds=seconds[1] * 1000,
        fp32_milliseconds=seconds[0] * 1000,
    )
    if trial.why_not is None:
        rounded.replace(staged / MODEL_FILE)
    else:
        rounded.unlink()
    return trial


def _run(
    adaptation: Adaptation, items: Sequence[Item], graphs: Sequence[Session]
) -> tuple[list[dict[int, Tensor]], list[float]]:
    """What each graph answers to each item, and the seconds that all of them took it at its quickest, in turns."""
    answers: list[dict[int, Tensor]] = [{} for _ in graphs]
    seconds = [0.0 for _ in graphs]
    for chosen, feeds in _feeds(adaptation, items):
        least = [math.inf for _ in graphs]
        for _ in range(TURNS if sum(seconds) < ENOUGH else 1):
            for place, graph in enumerate(graphs):
                started = time.perf_counter()
                rows = graph.run(feeds)[0]
                least[place] = min(least[place], time.perf_counter() - started)
                answers[place] |= {id(item): torch.from_numpy(row) for item, row in zip(chosen, rows, strict=True)}
        seconds = [before + one for before, one in zip(seconds, least, strict=True)]
    return answers, seconds


def _feeds(adaptation: Adaptation, items: Sequence[Item]) -> Iterator[tuple[list[Item], Feeds]]:
    """Items of similar length, and what a graph reads of them."""
    for places in by_length(items):
        chosen = [items[place] for place in places]
        yield chosen, {name: values.numpy() for name, values in adaptation.collate(chosen).items()}


def _as_outputs(kept: Kept) -> Outputs:
    """The network that answered so; shorter rows are filled up, which nobody reads."""

    def outputs(chosen: Sequence[Item]) -> Tensor:
        return pad_sequence([kept[id(item)] for item in chosen], batch_first=True)

    return outputs
