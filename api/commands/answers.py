"""Answers of models as people read them in a terminal: by the form of the answer, not by the task that gave it."""

from __future__ import annotations

import json
import math
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from api.client import Json
from api.commands import marked_text
from api.commands.terminal import bar, figure, printable, table

SHOWN_NUMBERS = 6
SHOWN_CHARACTERS = 100
SHOWN_ROWS = 50


def question(model: Json) -> str:
    """What to ask a model as a command line has it: a text, or the file of a picture or a sound."""
    return {"image": "picture.jpg", "audio": "talk.mp3"}.get(str(model.get("modality")), '"some text"')


def refused(answer: object) -> bool:
    """Whether this input was refused while others were answered."""
    return isinstance(answer, dict) and "error" in answer and "code" in answer


def answer_view(asked: str, answer: Any, context: str = "") -> list[RenderableType]:
    """One input and its answer: labels with bars, boxes, masks, a vector by its norm, speech as text, entities
    underlined, answers in their sentence of the ``context``, anything else as JSON."""
    shortened = asked if len(asked) <= SHOWN_CHARACTERS else asked[: SHOWN_CHARACTERS - 1] + "…"
    head = Text(printable(shortened).replace("\n", " "), style="bold")
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
    if _is_vector(answer):
        norm = math.sqrt(sum(float(number) ** 2 for number in answer))
        first = " ".join(f"{number:+.4f}" for number in answer[:SHOWN_NUMBERS])
        return [head, f"  {len(answer)} numbers, norm {norm:.4f}, first: {first} …"]
    if isinstance(answer, dict) and isinstance(answer.get("text"), str):
        return [head, *_speech(answer)]
    if (text := _written(answer)) is not None:
        return [head, *(Text("  " + line) for line in printable(text).splitlines() or ["nothing was written"])]
    return [head, "  " + printable(json.dumps(answer, ensure_ascii=False))]


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
    for one in answer[:SHOWN_ROWS]:
        share = bar(float(one["score"])) if one["score"] is not None else ""
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


def _is_vector(answer: Any) -> bool:
    return isinstance(answer, list) and bool(answer) and all(isinstance(one, int | float) for one in answer)
