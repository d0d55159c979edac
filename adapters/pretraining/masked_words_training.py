"""How a body without a head for words learns to guess masked ones: what it is asked, step by step."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from adapters.pretraining.books import Passage
from adapters.pretraining.last_layer import LastLayer
from adapters.pretraining.long_run import Learner, Steps, changed_body
from adapters.training.architectures.word_head import WordHead
from adapters.training.precision import training

Batch = tuple[Tensor, Tensor, Tensor]  # ids (rows, tokens), places in it as one row, the words that stood there


@dataclass(frozen=True)
class Run(Steps):
    """Every number of a run; ``batch`` is tokens.

    Of the whole words of a passage ``masked`` are hidden at once, fewer as it cools down, ``masked_last`` in the end:
    of many a pass learns much, few are what is asked for (Ankner et al., "Dynamic Masking Rate Schedules for MLM
    Pretraining", 2024). At a rate of 1.5e-3 and rank 64 the loss stood still at 4.97 from step 465 to 568; 60 steps at
    a third of it brought 4.75.
    """

    steps: int = 3000
    batch: int = 2048
    masked: float = 0.4
    masked_last: float = 0.2


# Behind the first run, with the lowest layers as they are: 120 steps more ended at a loss of 4.03 on the validation
# part that way, with all layers at 4.05, and a step took 2.0 s of one core instead of 2.5 s.
FURTHER = (
    Run(steps=5000, rate=4e-4, cooling=1.0, masked=0.3, masked_last=0.15, seed=1),
    Run(steps=5000, rate=3e-4, cooling=1.0, masked=0.25, masked_last=0.12, seed=2),
    Run(steps=5000, rate=3e-4, cooling=1.0, masked=0.2, masked_last=0.1, seed=3),
    Run(steps=800, rate=1.5e-4, warm_up=40, cooling=1.0, masked=0.1, masked_last=0.06, seed=4),
)
STILL = 2  # layers


@dataclass(frozen=True, eq=False)
class GapLearner(Learner):
    """Guesses the words behind ``mask``.

    ``known``: (words,), those that the passages hold. Words are told apart from these alone while it learns, which
    leaves out half of the largest product (30,522 words: 1.60 s a step of both cores, 16,860: 1.40 s).
    """

    head: WordHead
    mask: int
    known: Tensor

    @classmethod
    def of(cls, checkpoint: Path, passages: Sequence[Passage], mask: int, run: Run) -> GapLearner:
        """Knows how often words are: the bias of each starts as the logarithm of its share in ``passages``."""
        body, changes = changed_body(checkpoint, run)
        head = WordHead(body.get_input_embeddings().weight, epsilon=float(body.config.layer_norm_eps))
        counts = np.zeros(len(head.bias), dtype=np.int64)
        for passage in passages:
            np.add.at(counts, passage.ids[passage.words], 1)
        shares = (counts + 0.1) / (counts + 0.1).sum()
        head.bias.data.copy_(torch.from_numpy(np.log(shares)))
        body.encoder.layer[-1] = LastLayer(body.encoder.layer[-1])
        return cls(body, changes, head, mask, torch.from_numpy(np.flatnonzero(counts)))

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Cross-entropy of the hidden words."""
        ids, places, words = batch
        with training():
            logits = self.head.among(self.known, self.states(input_ids=ids, places=places)[0])
        return functional.cross_entropy(logits.float(), torch.searchsorted(self.known, words)), len(words)


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


def batches(passages: Sequence[Passage], mask: int, run: Run) -> Iterator[Batch]:
    """Of every step, one after another."""
    chance = np.random.default_rng(run.seed)
    rows = itertools.chain.from_iterable(_rows(passages, run, epoch) for epoch in itertools.count())
    for step, row in enumerate(itertools.islice(rows, run.steps)):
        cold = 1 - run.warmth(max(step, run.warm_up))
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
    return torch.from_numpy(ids), torch.from_numpy(places.astype(np.int64)), torch.from_numpy(words)
