"""Questions about a text with their answers, as in SQuAD, in Hugging Face's data sets, and as plain columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.datasets.annotated.faults import PLACE_DIGITS, RowFault, place_of, text_of
from adapters.datasets.example import Example, Span
from adapters.datasets.fold import fold
from adapters.datasets.formats import Row
from adapters.datasets.problems import Problem

START, IMPOSSIBLE = "answer_start", "is_impossible"
NO_ANSWER = "no answer"
_COUNT = "Count characters, not bytes or UTF-16 units, from 0 in this very context."


def read_answers(row: Row, columns: Mapping[str, str]) -> Example | Problem:
    """The example of a row; a ``Problem`` for an answer that does not stand where it is said to.

    Spans are places of the answers in the context. Questions about one context are kept together.
    """
    try:
        question = text_of(row.values.get(columns["question"]), "question", columns["question"])
        context = text_of(row.values.get(columns["context"]), "context", columns["context"])
        spans = _spans(row.values, columns["answers"], context)
    except RowFault as fault:
        return fault.problem(row)
    values = {"question": question.strip(), "context": context}
    rarest = "" if spans else NO_ANSWER
    return Example(row.number, row.line, values, spans=spans, together=fold(context), rarest=rarest)


def _spans(values: Mapping[str, object], column: str, context: str) -> tuple[Span, ...]:
    given = values.get(column)
    impossible = values.get(IMPOSSIBLE)
    if impossible is True or (isinstance(impossible, str) and impossible.casefold() == "true") or given == []:
        return ()
    found: list[tuple[object, object]] = []
    if isinstance(given, list):
        found = [(one.get("text"), one.get(START)) if isinstance(one, dict) else (one, None) for one in given]
    elif isinstance(given, dict):
        found = _pairs(given, column)
        if not found:
            return ()
    else:
        found = [(given, values.get(START))]
    spans = [_span(text, start, place, context, column) for place, (text, start) in enumerate(found, start=1)]
    return tuple(dict.fromkeys(spans))


def _pairs(given: Mapping[Any, Any], column: str) -> list[tuple[object, object]]:
    """Of ``{"text": […], "answer_start": […]}``."""
    texts, starts = given.get("text"), given.get(START)
    if isinstance(texts, str):
        texts, starts = [texts], [starts]
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        said = "the answers lack a list of text, or one of answer_start of its length"
        raise RowFault("invalid_answer", said, 'Write {"text": ["…"], "answer_start": [57]}.', column=column)
    return list(zip(texts, starts, strict=True))


def _span(text: object, start: object, place: int, context: str, column: str) -> Span:
    if not isinstance(text, str) or not text.strip():
        fix = "Write a text that stands in the context, or an empty list where there is no answer."
        raise RowFault("missing_answer", f"answer {place} is missing", fix, column=column)
    untold = start in (None, "")
    text = text.strip() if untold else text
    at = _only_place(text, place, context, column) if untold else place_of(start)
    if at is None:
        said = f"answer_start of answer {place} is no whole number of up to {PLACE_DIGITS} digits"
        raise RowFault("invalid_answer", said, _COUNT, column=column)
    if at < 0 or context[at : at + len(text)] != text:
        where = context.find(text)
        hint = f"it stands at {where}" if where >= 0 else "it stands nowhere in it"
        said = f"answer {place} does not stand at {at} of the context; {hint}"
        raise RowFault("answer_mismatch", said, _COUNT, column=column)
    start_ = at + len(text) - len(text.lstrip())
    return Span("", start_, start_ + len(text.strip()))


def _only_place(text: str, place: int, context: str, column: str) -> int:
    """Where an answer stands of which that is not told; raises ``RowFault`` unless it stands there once."""
    count = context.count(text)
    if count != 1:
        said = f"answer {place} stands {count:,} times in the context, and answer_start does not say where"
        raise RowFault("answer_place", said, "Give answer_start, the place of its first character.", column=column)
    return context.index(text)
