"""Question answering: a question, a text, and what in the text answers it."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.datasets.annotated.answers import IMPOSSIBLE, START, read_answers
from adapters.datasets.formats import Row
from adapters.datasets.schema import Role, Schema

_CONTEXTS = ("context", "passage", "paragraph")
_ANSWERS = ("answers", "answer", "answer_text")


def _recognises(sample: Sequence[Row]) -> bool:
    """A question beside a context and an answer, in most rows."""
    fitting = [row for row in sample if "question" in row.values and _one(row, _CONTEXTS) and _one(row, _ANSWERS)]
    return 2 * len(fitting) > len(sample)


def _one(row: Row, names: Sequence[str]) -> bool:
    return any(name in row.values for name in names)


SCHEMA = Schema(
    task="question-answering",
    needs="a SQuAD JSON, or a JSONL (or Parquet) of questions, contexts and answers",
    roles=(
        Role(name="question", kind="text", names=("question", "query")),
        Role(name="context", kind="text", names=(*_CONTEXTS, "text", "document")),
        Role(name="answers", kind="marks", names=_ANSWERS),
    ),
    read=read_answers,
    beside=(START, IMPOSSIBLE, "id", "title"),
    recognises=_recognises,
)
