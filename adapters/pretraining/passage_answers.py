"""The starter ``passage-answers``: ``python -m adapters.pretraining.passage_answers DATA``.

LoRA on all layers of a sentence encoder and a new head learn to find answers; see ``passage_answers_training``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adapters.pretraining.long_run import train
from adapters.pretraining.passage_answers_training import END, START, AnswerLearner, Run, asked, batches
from adapters.pretraining.starter import command, starter_folder
from adapters.pretraining.texts import BASE, base_checkpoint, loaded, plain_tokenizer
from adapters.training.features import answers_of
from adapters.training.recipe import Item
from adapters.training.spans.scores import answer_scores
from zoo.catalogue.registry import load_catalogue
from zoo.tasks.decoding.answers import Reading, answers_in
from zoo.tasks.processors.windows import WindowProcessor
from zoo.tasks.question_answering import QuestionAnsweringParameters, read_in_windows

NAME, TASK = "passage-answers", "question-answering"
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Row:
    """A question, a text, and the characters of the latter where answers begin and end."""

    question: str
    text: str
    spans: tuple[tuple[int, int], ...]

    @property
    def answers(self) -> list[str]:
        return [self.text[start:end] for start, end in self.spans]


def main() -> None:
    """Train, write the starter's folder, and measure what is written."""
    given = command(NAME, data="squadshifts/train.jsonl.gz, validation and test").parse_args()
    checkpoint, run = base_checkpoint(given.state), Run()
    parts = {part: read(given.data / "squadshifts" / f"{part}.jsonl.gz") for part in PARTS}
    learner, seconds = learnt(checkpoint, parts["train"], run, given.state / NAME / "training.safetensors")
    folder = starter_folder(NAME)
    write(learner, run, folder)
    figures = {part: measured(folder, checkpoint, parts[part]) for part in PARTS[1:]}
    (folder / "README.md").write_text(_card(parts, run, figures, seconds), encoding="utf-8")
    print(f"{NAME}: {figures}")


def read(path: Path) -> list[Row]:
    """The rows of a gzipped file of JSON lines, answers as SQuAD has them."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [_row(json.loads(line)) for line in file]


def _row(told: dict[str, Any]) -> Row:
    pairs = zip(told["answers"]["answer_start"], told["answers"]["text"], strict=True)
    return Row(told["question"], told["context"], tuple((start, start + len(text)) for start, text in pairs))


def learnt(checkpoint: Path, rows: Sequence[Row], run: Run, state: Path) -> tuple[AnswerLearner, float]:
    """The checkpoint's body, all its layers changed, under a new head; and the seconds of CPU time that it took."""
    learner = AnswerLearner.of(checkpoint, run)
    tokenizer = plain_tokenizer(checkpoint)
    lessons = asked(tokenizer, [(row.question, row.text, row.spans) for row in rows], run)
    start, end = (int(tokenizer.token_to_id(name) or 0) for name in (START, END))
    return learner, train(learner, batches(lessons, (start, end), run), run, state)


def write(learner: AnswerLearner, run: Run, folder: Path) -> None:
    """Adapter, head, and how long answers are."""
    options = {"max_answer_len": run.longest_answer, "handle_impossible_answer": False}
    learner.write(folder, run, base=BASE, task=TASK, **options)


def measured(starter: Path, checkpoint: Path, rows: Sequence[Row]) -> dict[str, Any]:
    """F1 and exact match of what is written, beside its body, as it answers requests without parameters."""
    servable = loaded(starter, checkpoint, TASK)
    windows = WindowProcessor(checkpoint / "tokenizer.json", max_tokens=servable.limits["max_tokens"])
    usual = QuestionAnsweringParameters()
    texts = [read_in_windows(row.question, row.text, windows, usual) for row in rows]
    items = [Item(window.cost, window) for text in texts for window in text.windows]

    def outputs(chosen: Sequence[Item]) -> torch.Tensor:
        batch = windows.batch([item.target for item in chosen])
        with torch.no_grad():
            answer: torch.Tensor = servable.module(**{name: torch.from_numpy(batch[name]) for name in servable.inputs})
        return answer

    found = iter(answers_of(items, outputs))
    how = Reading(max_tokens=int(servable.options["max_answer_len"]))
    given = []
    for text in texts:
        logits = [next(found)[: window.cost].numpy() for window in text.windows]
        best = answers_in(text, logits, how)
        given.append(best[0].text if best else "")
    return answer_scores(given, [row.answers for row in rows])


def _card(parts: dict[str, list[Row]], run: Run, figures: dict[str, dict[str, Any]], seconds: float) -> str:
    base = load_catalogue()[BASE]
    told = {part: f"F1 {found['f1']:.4f}, exact match {found['exact_match']:.4f}" for part, found in figures.items()}
    return f"""# {NAME}

Answers questions with words of a given English text. Adapter and head in float16.

- Data: SQuADShifts, CC BY 4.0 (questions and answers; the texts, of Wikipedia, Reddit and Amazon's reviews, keep their
  own terms). {len(parts["train"])} questions to train on.
- Base: {base.title}, {base.licence}.
- Recipe: `python -m adapters.pretraining.passage_answers DATA`, seed {run.seed}; {run.steps} steps of AdamW with
  {run.batch} tokens each, learning rate {run.rate}, {run.warm_up} steps of warm-up, down to zero in the last
  {run.cooling:.0%} of the steps, weight decay {run.decay}; LoRA of rank {run.rank} on all linear layers, alpha
  {run.rank * run.scale:g}. Of each text {run.read[0]} to {run.read[1]} tokens around one of the answers are read,
  {run.read_last[0]} to {run.read_last[1]} in the last {run.whole:.0%} of the steps; in {run.without:.0%} of the rows
  what is read holds no answer.
- Training took {seconds / 60:.0f} minutes of CPU time.
- On the {figures["test"]["rows"]} questions of the test part: {told["test"]}. On the validation part, by which nothing
  was chosen: {told["validation"]}.
- Weaknesses: it always names some words, also where the text holds no answer; answers have at most {run.longest_answer}
  tokens, and what takes arithmetic or more than one sentence is missed.
"""


if __name__ == "__main__":
    main()
