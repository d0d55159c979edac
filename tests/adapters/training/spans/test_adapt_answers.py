"""The fine-tune job on questions, from rows to a served version, on a tiny body."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from adapters.datasets import Example, Span
from adapters.jobs import Hyperparameters
from adapters.training import adapt
from adapters.training.recipe import Item
from adapters.training.recipes.question_answering import adapt as adapt_answers
from tests.adapters.training.spans.span_jobs import LONGER, asked, own, upload
from tests.conftest import TinyZoo
from tests.tiny import FILLERS, WORDS
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidDataset


def question_rows(count: int, *, unanswered: int = 0, words: int = 6, seed: int = 0) -> list[dict[str, Any]]:
    """Different rows whose answer is the one word of billing in the context; every so many have none."""
    draw = random.Random(seed)
    made: dict[str, dict[str, Any]] = {}
    while len(made) < count:
        text = [draw.choice(FILLERS) for _ in range(draw.randint(3, words))]
        answer = draw.choice(WORDS["billing"])
        impossible = unanswered and len(made) % unanswered == 0
        if not impossible:
            text.insert(draw.randint(0, len(text)), answer)
        context = " ".join(text)
        answers = {
            "text": [] if impossible else [answer],
            "answer_start": [] if impossible else [context.index(answer)],
        }
        made.setdefault(context, {"question": "what is it?", "context": context, "answers": answers})
    return list(made.values())


@pytest.fixture(scope="module")
def adapted(bodies: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyZoo, dict[str, Any]]:
    zoo = own(bodies, tmp_path_factory.mktemp("adapted-answers"))
    rows = question_rows(240, unanswered=5)
    context = asked(zoo, suffix="manual", training_file=upload(zoo, rows), seed=3, hyperparameters=LONGER)
    return zoo, adapt.run(context, zoo.settings)


def predictor(zoo: TinyZoo, name: str = "manual") -> Predictor:
    return Predictor(zoo.store.entry(name, 1), zoo.store.folder(name, 1), threads=1)


def answer(zoo: TinyZoo, context: str, name: str = "manual") -> dict[str, Any]:
    body: Any = predictor(zoo, name).predict({"question": "what is it?", "context": context}).body
    return dict(body)


def test_what_was_learnt_is_answered_with_its_place(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, result = adapted
    assert result["fine_tuned_model"] == "manual@1"
    found = answer(zoo, "my order was the Refund again")
    assert (found["answer"], found["start"], found["end"]) == ("Refund", 17, 23)


def test_a_model_that_learnt_of_questions_without_answer_says_so(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    assert zoo.store.entry("manual", 1).options["handle_impossible_answer"] is True
    assert answer(zoo, "my order was the help again")["answer"] == ""


def test_figures_are_those_of_squad(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, result = adapted
    entry = zoo.store.entry("manual", 1)
    assert (entry.task, entry.base, entry.labels) == ("question-answering", "mini@1", ())
    assert set(result["metrics"]["heldout"]) == {"rows", "f1", "exact_match"}
    assert result["metrics"]["heldout"]["f1"] >= 0.8
    assert entry.parity["max_abs_difference"] <= 1e-4 and entry.parity["argmax_agreement"] == 1.0
    card = (zoo.store.folder("manual", 1) / "README.md").read_text()
    assert "| f1 | exact match |" in card and "windows of 48 tokens" in card


def test_lessons_are_parts_of_texts_that_hold_an_answer_or_say_that_there_is_none(bodies: TinyZoo) -> None:
    checkpoint = bodies.store.folder("mini", 1) / "checkpoint"
    words = " ".join([*FILLERS * 20, "Refund", *FILLERS * 20])
    start = words.index("Refund")
    examples = [
        Example(1, 1, values={"question": "what?", "context": words}, spans=(Span("", start, start + 6),)),
        Example(2, 2, values={"question": "what?", "context": words}),
        Example(3, 3, values={"question": "what?", "context": "my Refund"}, spans=(Span("", 3, 9),)),
    ]
    entry = bodies.store.entry("mini", 1)
    adaptation = adapt_answers(checkpoint, entry, examples, labels=(), asked=Hyperparameters())
    items = adaptation.encode(examples, views=3)
    assert len(items) == 9 and not any(item.parts for item in items)
    assert max(item.length for item in items) <= 48

    def pointed(item: Item) -> str:
        first, last = item.target.wanted[:2].tolist()
        window = item.target.text.windows[0]
        return "" if first == 0 else item.target.text.text[window.offsets[first, 0] : window.offsets[last, 1]]

    assert [pointed(item) for item in items] == ["Refund", "Refund", "", "", "", "", "Refund", "Refund", "Refund"]
    assert items[0].length > items[6].length == items[7].length


@pytest.mark.parametrize("views", [1, 3])
def test_a_question_that_could_not_be_asked_is_named_with_its_row(bodies: TinyZoo, views: int) -> None:
    entry, checkpoint = bodies.store.entry("mini", 1), bodies.store.folder("mini", 1) / "checkpoint"
    good = Example(1, 1, values={"question": "what?", "context": "my Refund"}, spans=(Span("", 3, 9),))
    long = Example(7, 1, values={"question": "what?", "context": " ".join(FILLERS * 400)})
    crowded = Example(8, 1, values={"question": "what is it? " * 12, "context": "my Refund"})
    adaptation = adapt_answers(checkpoint, entry, [good], labels=(), asked=Hyperparameters())
    with pytest.raises(InvalidDataset, match="Row 7, line 1: The text has .* more than 64 windows"):
        adaptation.encode([good, long], views=views)
    with pytest.raises(InvalidDataset, match="Row 8, line 1: The question leaves no room for the text: shorten it"):
        adaptation.encode([good, crowded], views=views)


def test_a_question_of_any_length_is_asked_as_it_was_read(bodies: TinyZoo) -> None:
    entry, checkpoint = bodies.store.entry("mini", 1), bodies.store.folder("mini", 1) / "checkpoint"
    example = Example(1, 1, values={"question": "x" * 2000, "context": "my Refund"})
    adaptation = adapt_answers(checkpoint, entry, [example], labels=(), asked=Hyperparameters())
    assert adaptation.request(example) == {"question": "x" * 768, "context": "my Refund"}
    assert len(adaptation.encode([example])) == 1


def test_contexts_longer_than_the_model_are_learnt_and_answered(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    rows = question_rows(120, words=90, seed=2)
    context = asked(zoo, job="long", suffix="long", training_file=upload(zoo, rows), hyperparameters=LONGER)
    result = adapt.run(context, zoo.settings)
    assert result["metrics"]["heldout"]["f1"] >= 0.7  # of contexts cut at 48 tokens half of the answers were gone


def test_questions_about_one_text_are_divided_all_the_same(bodies: TinyZoo, tmp_path: Path) -> None:
    zoo = own(bodies, tmp_path)
    words = [word for group in WORDS.values() for word in group]
    context = " ".join(words)
    rows = [
        {"question": f"where is {word}?", "context": context, "answer": word, "answer_start": context.index(word)}
        for word in words
    ]
    adapt.run(asked(zoo, suffix="one", training_file=upload(zoo, rows)), zoo.settings)
    counted = zoo.store.entry("one", 1).lineage["rows"]
    assert min(counted[part] for part in ("train", "validation", "heldout")) >= 1
