"""question-answering: imports readers as they are; adapts text encoders and readers to questions and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForQuestionAnswering

from adapters.datasets import Example, Span
from adapters.jobs import Hyperparameters
from adapters.training import checkpoint as checkpoints
from adapters.training.form import Form, token_head
from adapters.training.layouts.parts import unfit
from adapters.training.recipe import Defaults, Item, Servable
from adapters.training.spans.adaptation import Lesson, Logits, SpanAdaptation
from adapters.training.spans.network import TokenNetwork, new_head, own_head
from adapters.training.spans.scores import answer_scores
from adapters.training.spans.servable import adapted_servable, require_head, token_servable
from adapters.training.spans.stretches import around, beside, place_of, shown
from zoo.catalogue.entry import ModelEntry
from zoo.tasks.decoding.answers import Answer, Reading, answers_in
from zoo.tasks.processors.text import beginning
from zoo.tasks.processors.windows import EncodedWindows, Window
from zoo.tasks.question_answering import MAX_ANSWER_LEN, QuestionAnsweringParameters, read_in_windows
from zoo.tasks.question_answering import asked as served

TASK = "question-answering"
SERVED, WHOLE = QuestionAnsweringParameters(), QuestionAnsweringParameters(max_seq_len=10**6)
SHORT = 48, 112  # tokens of a part of a text that is learnt from
MOST_ANSWER = 128  # tokens of a served answer, however long those of the data are
TIE = 1e-4  # answers whose scores differ by less may stand for one another


class Ends(nn.Module):
    """A reader of transformers, or peft's around one, that answers (batch, tokens, 2): first and last token."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **named: Tensor) -> Tensor:
        """Logits, before any softmax."""
        answer = self.model(**named)
        return torch.stack((answer.start_logits, answer.end_logits), dim=-1)


def _asked(text: str, other: str) -> object:
    return {"question": other, "context": text}


FORM = Form(AutoModelForQuestionAnswering, Ends, token_head, labelled=False, request=_asked)


class AnswerAdaptation(SpanAdaptation):
    """A text encoder and the questions of one data set; see ``recipe.Adaptation``."""

    labels = ()
    headline = ("f1", "exact_match")
    # MiniLM, 1,620 questions of squadshifts, F1 on 400 others and seconds of one core: three epochs .56 in 770, two .48
    # in 530; short parts alone, of 32 to 72 tokens, .45 in 440; LoRA on the upper four layers alone .51 in 670. With
    # whole texts and LoRA on the upper half, 120 updates on 800 questions came to .31 on 150 others.
    defaults = Defaults(
        updates=150,
        epochs=(2, 8),
        batch_size=(16, 32),
        learning_rate=(1e-3, 1e-3),
        lora_rank=16,
        top=1.0,
        views=4,
        together=4096,
        plain_attention=True,
    )

    def __init__(
        self, checkpoint: Path, network: TokenNetwork, examples: Sequence[Example], *, max_tokens: int, knows: bool
    ) -> None:
        super().__init__(checkpoint, network, max_tokens=max_tokens, knows=knows)
        self._how = Reading(
            max_tokens=self._longest(examples), may_be_none=any(not example.spans for example in examples)
        )

    def _longest(self, examples: Sequence[Example]) -> int:
        """Tokens of the longest answer, within bounds."""
        texts = {_texts(example)[0] for example in examples if example.spans}
        encodings = self._windows.tokenizer.encode_batch(sorted(texts), add_special_tokens=False)
        longest = max((len(encoding.ids) for encoding in encodings), default=0)
        return min(max(longest, MAX_ANSWER_LEN), MOST_ANSWER)

    def encode(self, examples: Sequence[Example], *, views: int = 1) -> list[Item]:
        """As they are served; or where there are several views, as many parts of each text."""
        if views == 1:
            return [self._encoded(example) for example in examples]
        return [item for example in examples for item in self._parts(example, views)]

    def _parts(self, example: Example, views: int) -> list[Item]:
        """Of one text: the first as long as may be, the others short; of a text that is served in several windows the
        last holds no answer."""
        chance = np.random.default_rng(example.row)
        with self.reading(example):
            text = self._text(example, WHOLE)
        whole = text.windows[0]
        count = int(whole.inside.sum())
        most = self.max_tokens - (len(whole.ids) - count)
        if not count or most < 1:
            return [self._encoded(example)] * views
        if count > most:  # whether it could be served: else the row is refused only where it is measured by
            self._encoded(example)
        answers = [(place, span) for span in example.spans if (place := place_of(whole, span))]
        items = []
        for view in range(views):
            room = most if view == 0 else min(most, int(chance.integers(SHORT[0], SHORT[1] + 1)))
            somewhere = int(chance.integers(count))
            place, span = answers[view % len(answers)] if answers else ((somewhere, somewhere), None)
            stretch = around(count, place, room, chance)
            if answers and view == views - 1 and count > most:
                stretch = beside(count, [place for place, _ in answers], room, chance, least=1) or stretch
            window = shown(whole, stretch)
            items.append(self.item(EncodedWindows((window,), text.text), [_wanted(window, span)], example.spans))
        return items

    def _encoded(self, example: Example) -> Item:
        with self.reading(example):
            text = self._text(example)
        span = example.spans[0] if example.spans else None
        return self.item(text, [_wanted(window, span) for window in text.windows], example.spans)

    def _text(self, example: Example, asked: QuestionAnsweringParameters = SERVED) -> EncodedWindows:
        question, context = served(self.request(example), self._windows)
        return read_in_windows(question, context, self._windows, asked)

    def loss(self, outputs: Tensor, targets: Sequence[Lesson]) -> Tensor:
        """Cross-entropy of first and last token, over those that an answer may be made of."""
        allowed = torch.zeros(outputs.shape[:2], dtype=torch.bool)
        for row, target in enumerate(targets):
            allowed[row, : len(target.wanted) - 2] = target.wanted[2:] == 1
        logits = outputs.masked_fill(~allowed[..., None], torch.finfo(outputs.dtype).min)
        places = torch.stack([target.wanted[:2] for target in targets])
        return functional.cross_entropy(logits, places)

    def figures(self, answers: Sequence[Logits], items: Sequence[Item]) -> dict[str, Any]:
        given = [self._answer(answer, item.target.text).text for answer, item in zip(answers, items, strict=True)]
        true = [[item.target.text.text[span.start : span.end] for span in item.target.spans] for item in items]
        return answer_scores(given, true)

    def agrees(self, answer: Logits, body: Any, example: Example) -> bool:
        expected = self._answer(answer, self._text(example))
        near = abs(float(body["score"]) - expected.score) <= TIE
        return near and (body["answer"] == expected.text or self._ties(answer, body, example))

    def _ties(self, answer: Logits, body: Any, example: Example) -> bool:
        """Whether another answer than the best is about as good."""
        some = answers_in(self._text(example), answer, replace(self._how, top_k=5))
        return any(one.text == body["answer"] and some[0].score - one.score <= TIE for one in some)

    def _answer(self, answer: Logits, text: EncodedWindows) -> Answer:
        found = answers_in(text, answer, self._how)
        return found[0] if found else Answer("", 0.0, 0, 0)

    def request(self, example: Example) -> object:
        """Of a question the beginning is read."""
        question = beginning(example.values["question"], max_tokens=self.max_tokens)
        return {"question": question, "context": example.values["context"]}

    def servable(self) -> Servable:
        return self.served(max_answer_len=self._how.max_tokens, handle_impossible_answer=self._how.may_be_none)


def _wanted(window: Window, span: Span | None) -> Tensor:
    """(2 + tokens,): places of the first and the last token of the answer, then 1 for tokens that may be either.

    Where the window does not hold the whole answer, or there is none, both are the first token of the window.
    """
    allowed = window.inside.copy()
    allowed[0] = True
    first = last = 0
    if span is not None and (place := place_of(window, span)):
        one, other = np.flatnonzero(window.inside)[list(place)]
        if window.offsets[one, 0] <= span.start and window.offsets[other, 1] >= span.end:
            first, last = int(one), int(other)
    return torch.cat([torch.tensor([first, last]), torch.from_numpy(allowed).long()])


def _texts(example: Example) -> list[str]:
    return [example.values["context"][span.start : span.end] for span in example.spans]


def load(checkpoint: Path) -> Servable:
    """A checkpoint with its own head for answers."""
    if checkpoints.is_adapted(checkpoint):
        return _load_adapted(checkpoint)
    require_head(checkpoint, "ForQuestionAnswering", TASK)
    checkpoints.ensure_tokenizer(checkpoint)
    network = own_head(checkpoint, AutoModelForQuestionAnswering, "qa_outputs").eval().requires_grad_(False)
    if network.head.out_features != 2:
        raise unfit("has no head for first and last tokens of answers")
    return token_servable(network, network.body, checkpoint, max_tokens=checkpoints.max_tokens(checkpoint))


def _load_adapted(checkpoint: Path) -> Servable:
    """``config.json`` says how long answers were when the head was learnt, and whether there may be none."""
    network = own_head(checkpoint, AutoModelForQuestionAnswering, "qa_outputs")
    config = checkpoints.read_json(checkpoint / "config.json")
    longest = config.get("max_answer_len", MAX_ANSWER_LEN)
    if network.head.out_features != 2 or type(longest) is not int or not 1 <= longest <= MOST_ANSWER:
        raise unfit(f"has no head for first and last tokens of answers of at most {MOST_ANSWER} tokens")
    impossible = bool(config.get("handle_impossible_answer", False))
    return adapted_servable(network, checkpoint, max_answer_len=longest, handle_impossible_answer=impossible)


def adapt(
    checkpoint: Path, base: ModelEntry, examples: Sequence[Example], *, labels: tuple[str, ...], asked: Hyperparameters
) -> AnswerAdaptation:
    """Any imported text encoder under a new head; a reader goes on with its own."""
    knows = base.task == TASK
    limit = base.limits.get("max_tokens", 0)
    own = own_head(checkpoint, AutoModelForQuestionAnswering, "qa_outputs") if knows else None
    return AnswerAdaptation(
        checkpoint,
        own or new_head(checkpoint, 2),
        examples,
        max_tokens=limit if asked.max_tokens == "auto" else min(asked.max_tokens, limit),
        knows=knows,
    )
