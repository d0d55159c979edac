"""The starter ``passage-answers``: ``python -m adapters.pretraining.passage_answers DATA``; see ``adapted``."""

from __future__ import annotations

from adapters.jobs import Hyperparameters
from adapters.pretraining.adapted import Recipe, main
from adapters.pretraining.texts import BASE, writer

RECIPE = Recipe(
    name="passage-answers",
    data="squadshifts",
    files="{}.jsonl.gz",
    about="Answers questions with words of a given English text.",
    licence="SQuADShifts, CC BY 4.0 (questions and answers; the texts, of Wikipedia, Reddit and Amazon's reviews, "
    "keep their own terms).",
    weaknesses="it always names some words, also where the text holds no answer; answers are short, and what takes "
    "arithmetic or more than one sentence is missed.",
    write=writer("question-answering"),
    asked=Hyperparameters(n_epochs=3, lora_rank=32, max_tokens=256),
    base=BASE,
    whole=False,
)

if __name__ == "__main__":
    main(RECIPE)
