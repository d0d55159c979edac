"""How a body learns to find answers: questions and the parts of texts around their answers, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from adapters.pretraining.long_run import Learner, Steps
from adapters.pretraining.low_rank import LowRank
from adapters.training.precision import fast_bfloat16, training
from adapters.training.spans.stretches import around, beside

START, END = "[CLS]", "[SEP]"
SHORTEST = 16  # tokens of a part that holds no answer
WINDOW = 512  # rows that are sorted by length together


@dataclass(frozen=True)
class Run(Steps):
    """Every number of a run; ``batch`` is tokens with filling, ``read`` and ``read_last`` bound the tokens of a text.

    A row is a question and so many tokens of its text as are drawn for it, the answer anywhere among them; the last
    ``whole`` of the steps read as much as is served. A body learns to tell answers from a short text as well, and twice
    as many in the same time. A share of ``without`` of the rows are parts that hold none of the answers: longer texts
    are served in windows, of which the others have to be told from the right one.
    """

    steps: int = 1200
    longest: int = 256
    batch: int = 3072
    longest_question: int = 32
    longest_answer: int = 30
    read: tuple[int, int] = (48, 112)
    read_last: tuple[int, int] = (112, 221)
    whole: float = 0.3
    without: float = 0.1


@dataclass(frozen=True, eq=False)
class Asked:
    """Token ids of a question and of its text, and first and last token of each answer in the latter."""

    question: list[int]
    text: list[int]
    answers: list[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Cut:
    """A row as the body reads it: ids, where the text begins in them, first and last token of the answer.

    Both are 0, the very first, where there is none.
    """

    ids: list[int]
    begin: int
    first: int
    last: int


Batch = tuple[dict[str, Tensor], Tensor, Tensor]  # inputs, which tokens may be pointed at, (rows, 2) first and last


@dataclass(frozen=True, eq=False)
class AnswerLearner(Learner):
    """Points at the first and at the last token of the answer."""

    @classmethod
    def of(cls, body: Any, names: Sequence[str], run: Run) -> AnswerLearner:
        """Knows nothing yet."""
        torch.manual_seed(run.seed)
        body.eval().requires_grad_(False).to(torch.bfloat16 if fast_bfloat16() else torch.float32)
        changes = LowRank(body, names, rank=run.rank, scale=run.scale, seed=run.seed)
        return cls(body, changes, nn.Linear(body.config.hidden_size, 2))

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Cross-entropy of first and last token, over those of the text and the very first."""
        inputs, inside, places = batch
        with training():
            logits = self.head(self.states(**inputs)).float()
        logits = logits.masked_fill(~inside[..., None], torch.finfo(logits.dtype).min)
        return functional.cross_entropy(logits, places), len(places)


def asked(tokenizer: Tokenizer, rows: Sequence[tuple[str, str, Sequence[tuple[int, int]]]], run: Run) -> list[Asked]:
    """Of questions, texts and the characters where answers begin and end; longer answers than are learnt are left out,
    and so are questions without any other."""
    texts = sorted({text for _, text, _ in rows})
    encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    read = {text: (one.ids, np.asarray(one.offsets).reshape(-1, 2)) for text, one in zip(texts, encodings, strict=True)}
    questions = tokenizer.encode_batch([question for question, _, _ in rows], add_special_tokens=False)
    found = []
    for (_, text, spans), question in zip(rows, questions, strict=True):
        ids, offsets = read[text]
        places = [place for span in spans if (place := _tokens(offsets, *span)) is not None]
        if answers := [(first, last) for first, last in places if last - first < run.longest_answer]:
            found.append(Asked(question.ids[: run.longest_question], ids, answers))
    return found


def _tokens(offsets: NDArray[np.int64], start: int, end: int) -> tuple[int, int] | None:
    inside = ((offsets[:, 0] < end) & (offsets[:, 1] > start)).nonzero()[0]
    return (int(inside[0]), int(inside[-1])) if len(inside) else None


def batches(rows: Sequence[Asked], ends: tuple[int, int], run: Run) -> Iterator[Batch]:
    """Of every step, one after another: shuffled, sorted by length within windows, shuffled again.

    ``ends``: ids of the tokens before a question, and behind it and its text.
    """
    chance = np.random.default_rng(run.seed)
    order: list[int] = []
    step = 0
    while True:
        while len(order) < WINDOW:
            order += chance.permutation(len(rows)).tolist()
        bounds = run.read if step < (1 - run.whole) * run.steps else run.read_last
        window = [cut(rows[place], ends, bounds, run.without, chance) for place in order[:WINDOW]]
        order = order[WINDOW:]
        made = list(_filled(sorted(window, key=lambda row: len(row.ids)), run.batch))
        for place in chance.permutation(len(made)).tolist():
            yield stacked(made[place])
            step += 1


def cut(row: Asked, ends: tuple[int, int], bounds: tuple[int, int], without: float, chance: np.random.Generator) -> Cut:
    """A part of the row's text: in a share of ``without`` beside all answers, else one of them at any place in it."""
    count, room = len(row.text), int(chance.integers(bounds[0], bounds[1] + 1))
    begin = len(row.question) + 2
    shown = beside(count, row.answers, room, chance, least=SHORTEST) if chance.random() < without else None
    places = 0, 0
    if shown is None:
        first, last = row.answers[chance.integers(len(row.answers))]
        shown = around(count, (first, last), room, chance)
        places = first - shown.start + begin, last - shown.start + begin
    ids = [ends[0], *row.question, ends[1], *row.text[shown.start : shown.stop], ends[1]]
    return Cut(ids, begin, *places)


def _filled(rows: Sequence[Cut], most: int) -> Iterator[list[Cut]]:
    batch: list[Cut] = []
    for row in rows:
        if batch and len(row.ids) * (len(batch) + 1) > most:
            yield batch
            batch = []
        batch.append(row)
    yield batch


def stacked(rows: Sequence[Cut]) -> Batch:
    """Filled up on the right."""
    shape = len(rows), max(len(row.ids) for row in rows)
    ids, mask, types = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
    inside = torch.zeros(shape, dtype=torch.bool)
    for place, row in enumerate(rows):
        length = len(row.ids)
        ids[place, :length] = torch.tensor(row.ids)
        mask[place, :length] = 1
        types[place, row.begin : length] = 1
        inside[place, 0] = inside[place, row.begin : length - 1] = True
    places = torch.tensor([[row.first, row.last] for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}, inside, places
