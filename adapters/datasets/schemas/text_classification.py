"""Text classification: a text or two, and its label, its labels, or a score."""

from __future__ import annotations

from adapters.datasets.schema import Role, Schema

_SAID = "answer"  # what is said of a text
_LABELS = (
    "messages.assistant",
    "label",
    "labels",
    "class",
    "category",
    "intent",
    "target",
    "sentiment",
    "topic",
    "completion",
    "output",
    "y",
    "tag",
)
SCHEMA = Schema(
    task="text-classification",
    needs="a table (CSV, JSONL or Parquet) with a column of texts, perhaps one more, and one of labels or scores",
    roles=(
        Role(
            name="text",
            kind="text",
            names=(
                "messages.user",
                "text",
                "sentence1",
                "sentence_1",
                "sentence_a",
                "text1",
                "text_1",
                "premise",
                "question1",
                "sentence",
                "content",
                "message",
                "body",
                "utterance",
                "question",
                "review",
                "comment",
                "prompt",
                "input",
                "inputs",
                "query",
                "tweet",
                "document",
                "description",
                "title",
                "subject",
            ),
        ),
        Role(
            name="text_pair",
            kind="text",
            names=("text_pair", "sentence2", "sentence_2", "sentence_b", "text2", "text_2", "hypothesis", "question2"),
            needed=False,
        ),
        Role(name="labels", kind="categories", names=(*_LABELS, "tags", "genres", "topics"), needed=False, group=_SAID),
        Role(name="label", kind="category", names=_LABELS, group=_SAID),
        Role(
            name="score",
            kind="number",
            names=("score", "rating", "similarity", "similarity_score", "relatedness", "relatedness_score", *_LABELS),
            needed=False,
            group=_SAID,
        ),
    ),
)
