"""What a careful beginner writes for entities, answers and likeness: peft and the Hugging Face Trainer as they come.

`python -m benchmarks.plain_language KIND CHECKPOINT TRAIN.jsonl TEST.jsonl`, with ``ner``, ``qa`` or ``similarity``,
prints one line of JSON: figures on the test rows, the seconds that asking about those took, and the CPU seconds until
then. LoRA stands where peft puts it for the type of task; rows are prepared as transformers' own examples do it. For
likeness the network is the one that is served: cosines of mean vectors, and their squared distances from scores scaled
to 0..1.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from benchmarks.corpora import KINDS, Row, entities

WINDOW, STRIDE, MOST_ANSWER, BEST = 384, 128, 30, 20  # as transformers' run_qa.py has them
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Say = Callable[[Row], Any]
"""What a trained model says of a row, in the form that figures are made of."""


def train(model: nn.Module, rows: Sequence[Any], collator: Callable[..., Any]) -> nn.Module:
    """Three epochs in batches of 8 at a rate of 5e-5, as ``TrainingArguments`` has it."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(output_dir=folder, report_to=[], disable_tqdm=True, remove_unused_columns=False)
        Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator).train()
    return model.eval()


def ner(checkpoint: str, rows: Sequence[Row]) -> Say:
    """The first piece of each word gets the word's tag."""
    tags = sorted({tag for row in rows for tag in row["ner_tags"]})
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def firsts(words: Sequence[int | None]) -> list[bool]:
        return [word is not None and word not in words[:place] for place, word in enumerate(words)]

    def encode(row: Row) -> dict[str, Any]:
        encoded = tokenizer(row["tokens"], is_split_into_words=True, truncation=True)
        words = encoded.word_ids()
        wanted = [
            tags.index(row["ner_tags"][word]) if first else -100
            for word, first in zip(words, firsts(words), strict=True)
        ]
        return {**encoded, "labels": wanted}

    model: Any = AutoModelForTokenClassification.from_pretrained(checkpoint, num_labels=len(tags))
    model = get_peft_model(model, LoraConfig(task_type=TaskType.TOKEN_CLS))
    train(model, [encode(row) for row in rows], DataCollatorForTokenClassification(tokenizer))

    def say(row: Row) -> object:
        encoded = tokenizer(row["tokens"], is_split_into_words=True, truncation=True, return_tensors="pt")
        best = model(**encoded).logits[0].argmax(-1).tolist()
        found = ["O"] * len(row["tokens"])
        words = encoded.word_ids()
        for word, first, tag in zip(words, firsts(words), best, strict=True):
            if first:
                found[word] = tags[tag]
        return entities(row["tokens"], found)

    return say


def qa(checkpoint: str, rows: Sequence[Row]) -> Say:
    """Windows of the text behind the question; a window without the answer points at its first token."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def windows(row: Row, **options: Any) -> Any:
        return tokenizer(
            row["question"].lstrip(),
            row["context"],
            truncation="only_second",
            max_length=WINDOW,
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            **options,
        )

    def encode(row: Row) -> list[dict[str, Any]]:
        encoded, parts = windows(row), []
        start = row["answers"]["answer_start"][0]
        end = start + len(row["answers"]["text"][0])
        for window, offsets in enumerate(encoded["offset_mapping"]):
            inside, first, last = _text_of(encoded, window), 0, 0
            if offsets[inside[0]][0] <= start and offsets[inside[-1]][1] >= end:
                first = max(place for place in inside if offsets[place][0] <= start)
                last = min(place for place in inside if offsets[place][1] >= end)
            part = {name: encoded[name][window] for name in INPUTS}
            parts.append({**part, "start_positions": first, "end_positions": last})
        return parts

    model: Any = AutoModelForQuestionAnswering.from_pretrained(checkpoint)
    model = get_peft_model(model, LoraConfig(task_type=TaskType.QUESTION_ANS))
    train(model, [part for row in rows for part in encode(row)], DataCollatorWithPadding(tokenizer))

    def say(row: Row) -> object:
        encoded = windows(row, padding=True, return_tensors="pt")
        answer = model(**{name: encoded[name] for name in INPUTS})
        _, start, end = _best(encoded, answer.start_logits.tolist(), answer.end_logits.tolist())
        return row["context"][start:end]

    return say


def _text_of(encoded: Any, window: int) -> list[int]:
    """Places of tokens that are not of the question."""
    return [place for place, part in enumerate(encoded.sequence_ids(window)) if part == 1]


def _best(encoded: Any, starts: list[list[float]], ends: list[list[float]]) -> tuple[float, int, int]:
    """Score, first character and the one behind the last of the best answer of all windows."""
    found = [(-math.inf, 0, 0)]
    for window, offsets in enumerate(encoded["offset_mapping"].tolist()):
        firsts, lasts = (
            sorted(_text_of(encoded, window), key=numbers[window].__getitem__)[-BEST:] for numbers in (starts, ends)
        )
        for first in firsts:
            for last in lasts:
                if first <= last < first + MOST_ANSWER:
                    score = starts[window][first] + ends[window][last]
                    found.append((score, offsets[first][0], offsets[last][1]))
    return max(found)


class Cosines(nn.Module):
    """Cosines of pairs of texts, and the mean of their squared distances from the scores."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, one: dict[str, Tensor], other: dict[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """``logits`` (pairs,) and ``loss``."""
        cosines = functional.cosine_similarity(self._mean(one), self._mean(other))
        return {"loss": functional.mse_loss(cosines, labels), "logits": cosines}

    def _mean(self, batch: dict[str, Tensor]) -> Tensor:
        weights = batch["attention_mask"].unsqueeze(-1).float()
        total: Tensor = (self.encoder(**batch).last_hidden_state * weights).sum(1)
        return total / weights.sum(1)


def similarity(checkpoint: str, rows: Sequence[Row]) -> Say:
    """Scores are scaled to 0..1 by the least and the largest of the rows."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    scores = [row["score"] for row in rows]
    least, most = min(scores), max(scores)

    def collate(some: Sequence[Row]) -> dict[str, Any]:
        one, other = (
            dict(tokenizer([row[name] for row in some], padding=True, truncation=True, return_tensors="pt"))
            for name in ("sentence1", "sentence2")
        )
        wanted = [(row["score"] - least) / (most - least) for row in some]
        return {"one": one, "other": other, "labels": torch.tensor(wanted)}

    encoder = AutoModel.from_pretrained(checkpoint)
    network = Cosines(get_peft_model(encoder, LoraConfig(task_type=TaskType.FEATURE_EXTRACTION)))
    train(network, rows, collate)
    return lambda row: float(network(**collate([row]))["logits"])


@torch.no_grad()
def asked(say: Say, rows: Sequence[Row]) -> list[Any]:
    """What is said of each row."""
    return [say(row) for row in rows]


def main(kind: str, checkpoint: str, train_path: str, test_path: str) -> None:
    """Train on one file, print the figures on the other."""
    rows, test = ([json.loads(line) for line in Path(path).open(encoding="utf-8")] for path in (train_path, test_path))
    say = {"ner": ner, "qa": qa, "similarity": similarity}[kind](checkpoint, rows)
    used, started = time.process_time(), time.monotonic()
    figures = KINDS[kind].scores(asked(say, test), test)
    found = {name: figures[name] for name in KINDS[kind].headline}
    print(json.dumps({"figures": found, "cpu": used, "asking": time.monotonic() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:5])
