"""Summarization: a text and what it says in few words."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.datasets.formats import Row
from adapters.datasets.pairs import SummaryWatch
from adapters.datasets.schema import Role, Schema

_TEXTS = ("article", "document", "dialogue", "text", "body", "source", "content", "story", "report")
_SUMMARIES = ("summary", "highlights", "abstract", "headline", "target", "tldr")


def _recognises(sample: Sequence[Row]) -> bool:
    """A column that is called like a summary beside one that is called like a longer text, and none like a label."""
    names = {name.strip().casefold() for row in sample[:20] for name in row.values}
    sorted_ = {"label", "labels", "class", "category", "score", "rating", "sentiment"}
    return bool(names & {"summary", "highlights", "tldr"} and names & set(_TEXTS) and not names & sorted_)


SCHEMA = Schema(
    task="summarization",
    needs="a table (CSV, JSONL or Parquet) with a column of texts and one of their summaries",
    roles=(
        Role(name="source", kind="text", names=("messages.user", *_TEXTS, "prompt", "input")),
        Role(name="target", kind="answer", names=("messages.assistant", *_SUMMARIES, "completion", "output")),
    ),
    recognises=_recognises,
    watch=SummaryWatch,
)
