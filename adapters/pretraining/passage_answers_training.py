"""How a body learns to find answers: questions and the parts of texts around their answers, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from adapters.pretraining.long_run import Learner, Steps, changed_body
from adapters.training.features import by_length
from adapters.training.precision import training
from adapters.training.spans.stretches import around, beside, touched
from zoo.tasks.processors.text import padded

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

    ids: NDArray[np.int64]
    begin: int
    first: int
    last: int

    @property
    def types(self) -> NDArray[np.int64]:
        """0 for the question, 1 for the text and its end."""
        return (np.arange(self.length) >= self.begin).astype(np.int64)

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.ids)

    cost = length


Batch = tuple[dict[str, Tensor], Tensor, Tensor]  # inputs, which tokens may be pointed at, (rows, 2) first and last


@dataclass(frozen=True, eq=False)
class AnswerLearner(Learner):
    """Points at the first and at the last token of the answer."""

    @classmethod
    def of(cls, checkpoint: Path, run: Run) -> AnswerLearner:
        """Knows nothing yet."""
        body, changes = changed_body(checkpoint, run)
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
        places = [place for span in spans if (place := touched(offsets, *span))]
        if answers := [(first, last) for first, last in places if last - first < run.longest_answer]:
            found.append(Asked(question.ids[: run.longest_question], ids, answers))
    return found


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
        made = list(by_length(window, cost=run.batch))
        for number in chance.permutation(len(made)).tolist():
            yield stacked([window[place] for place in made[number]])
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
    return Cut(np.asarray(ids), begin, *places)


def stacked(rows: Sequence[Cut]) -> Batch:
    """Filled up on the right."""
    inputs = {name: torch.from_numpy(array) for name, array in padded(rows, 0).items()}
    inside = torch.zeros(inputs["input_ids"].shape, dtype=torch.bool)
    for number, row in enumerate(rows):
        inside[number, 0] = inside[number, row.begin : row.length - 1] = True
    return inputs, inside, torch.tensor([[row.first, row.last] for row in rows])
