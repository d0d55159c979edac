"""Answers of models as people read them in a terminal: by the form of the answer, not by the task that gave it."""

from __future__ import annotations

import json
import math
from os.path import commonprefix
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import RenderableType
from rich.text import Text

from api.client import Json
from api.commands import marked_text
from api.commands.terminal import bar, figure, printable, table

# Of tasks that any text alone is not enough for.
QUESTIONS = {
    "question-answering": '"a question" --context "some text"',
    "zero-shot-classification": '"some text" --labels one,other',
    "sentence-similarity": '"some text" --source "another text"',
    "fill-mask": '"a text with a [MASK]"',  # a model that calls it otherwise says so
}
SHOWN_NUMBERS = 6
SHOWN_CELLS = 100  # of a text that was asked about
SHOWN_ROWS = 50
SHOWN_AROUND = 60  # cells of a text with a gap: the word and what stands around it


def question(model: Json) -> str:
    """What to ask a model as a command line has it: a text and what goes with it, or the file of a picture or sound."""
    of_modality = {"image": "picture.jpg", "audio": "talk.mp3"}.get(str(model.get("modality")), '"some text"')
    return QUESTIONS.get(str(model.get("task")), of_modality)


def refused(answer: object) -> bool:
    """Whether this input was refused while others were answered."""
    return isinstance(answer, dict) and "error" in answer and "code" in answer


def answer_view(asked: str, answer: Any, context: str = "") -> list[RenderableType]:
    """One input and its answer: labels with bars, boxes, masks, words for gaps, a vector by its norm, speech as text,
    entities underlined, answers in their sentence of the ``context``, anything else as JSON."""
    head = Text(_shortened(asked, SHOWN_CELLS), style="bold")
    if refused(answer):
        return [head, Text(f"  refused: {printable(answer['error'])}", style="red")]
    if answer == []:
        return [head, "  nothing found"]
    if _are_scores(answer):
        return [head, _scores(answer)]
    if marked_text.are_entities(answer):
        return [head, *marked_text.entities(asked, answer)]
    if marked_text.are_answers(answer):
        return [head, *marked_text.answers(context, answer)]
    if _are_fillings(answer):
        gaps = [answer] if isinstance(answer[0], dict) else answer
        return [head, *(_fillings(words, number if len(gaps) > 1 else 0) for number, words in enumerate(gaps, 1))]
    if _is_vector(answer):
        norm = math.sqrt(sum(float(number) ** 2 for number in answer))
        first = " ".join(f"{number:+.4f}" for number in answer[:SHOWN_NUMBERS])
        return [head, f"  {len(answer)} numbers, norm {norm:.4f}, first: {first} …"]
    if isinstance(answer, dict) and isinstance(answer.get("text"), str):
        return [head, *_speech(answer)]
    if (text := _written(answer)) is not None:
        return [head, *(Text("  " + line) for line in printable(text).splitlines() or ["nothing was written"])]
    return [head, "  " + printable(json.dumps(answer, ensure_ascii=False))]


def likeness_view(source: str, texts: list[str], scores: list[float]) -> list[RenderableType]:
    """A text and how alike each of some others is to it."""
    shown = table("", "", "")
    shown.show_header = False
    for text, score in zip(texts, scores, strict=True):
        shown.add_row("  " + figure(score), bar(score), _shortened(text, SHOWN_CELLS))
    return [Text(_shortened(source, SHOWN_CELLS), style="bold"), shown]


def _fillings(words: list[dict[str, Any]], number: int) -> RenderableType:
    """A row for each word, its score and the text that it makes; ``number`` is that of the gap if there are several."""
    shown = table("", "", "", "")
    shown.show_header = False
    texts = [str(one["sequence"]) for one in words]
    # what all of them begin with ends at the gap; of a single one the word is looked for
    place = len(commonprefix(texts)) if len(texts) > 1 else texts[0].find(str(words[0]["token_str"]).strip())
    start = max(0, place - SHOWN_AROUND // 2)
    for one, text in zip(words[:SHOWN_ROWS], texts, strict=False):
        around = ("…" if start else "") + _shortened(text[start:], SHOWN_AROUND)
        gap = f"{number}: " if number else ""
        word = f"  {gap}{printable(str(one['token_str'])).strip()}"
        shown.add_row(word, figure(one["score"]), bar(float(one["score"])), around)
    return shown


def _shortened(text: str, most: int) -> str:
    """The beginning of a text in one line of at most so many cells."""
    shown = printable(text[: most + 1]).replace("\n", " ")
    return shown if cell_len(shown) <= most else set_cell_size(shown, most - 1).rstrip() + "…"


def _speech(answer: dict[str, Any]) -> list[RenderableType]:
    """The text, or a line for each piece of it with its times in seconds."""
    chunks = answer.get("chunks")
    if not chunks:
        return [Text("  " + (printable(answer["text"]) or "nothing was said"))]
    return [
        Text(f"  {chunk['timestamp'][0]:8.2f} {chunk['timestamp'][1]:8.2f}  {printable(chunk['text']).strip()}")
        for chunk in chunks
    ]


def _written(answer: Any) -> str | None:
    """The text of an answer that is nothing but a text: a translation, a summary."""
    if not isinstance(answer, dict) or len(answer) != 1:
        return None
    ((name, text),) = answer.items()
    return text if name in ("translation_text", "summary_text") and isinstance(text, str) else None


def _scores(answer: list[dict[str, Any]]) -> RenderableType:
    """A row for each label with its score, and where in a picture it is: a box, or the share that a mask covers."""
    shown = table("", "", "", "")
    shown.show_header = False
    # a number that is itself the answer has no bar
    shares = all(one["score"] is not None and 0 <= one["score"] <= 1 for one in answer)
    for one in answer[:SHOWN_ROWS]:
        share = bar(float(one["score"])) if shares else ""
        shown.add_row("  " + printable(one["label"]), figure(one["score"]), _place(one), share)
    if len(answer) > SHOWN_ROWS:
        shown.add_row(f"  … and {len(answer) - SHOWN_ROWS} more; --json shows all")
    return shown


def _place(one: dict[str, Any]) -> str:
    box = one.get("box")
    if isinstance(box, dict):
        return " ".join(f"{name} {box.get(name, '–')}" for name in ("xmin", "ymin", "xmax", "ymax"))
    if isinstance(one.get("mask"), str):
        from api.drawing import coverage  # loads Pillow, which few commands need

        return f"{coverage(one['mask']):.1%} of the picture"
    return ""


def _are_scores(answer: Any) -> bool:
    return (
        isinstance(answer, list)
        and bool(answer)
        and all(isinstance(one, dict) and {"label", "score"} <= one.keys() for one in answer)
    )


def _are_fillings(answer: Any) -> bool:
    """Words for a gap, or a list of words for each of several."""
    if not isinstance(answer, list) or not answer:
        return False
    words = answer[0] if isinstance(answer[0], list) else answer
    return bool(words) and all(isinstance(one, dict) and {"token_str", "sequence"} <= one.keys() for one in words)


def _is_vector(answer: Any) -> bool:
    return isinstance(answer, list) and bool(answer) and all(isinstance(one, int | float) for one in answer)
