"""Text classification: a text and its label."""

from __future__ import annotations

from adapters.datasets.schema import Role, Schema

SCHEMA = Schema(
    task="text-classification",
    needs="a table (CSV, JSONL or Parquet) with a column of texts and one of labels",
    roles=(
        Role(
            name="text",
            kind="text",
            names=(
                "messages.user",
                "text",
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
            name="label",
            kind="category",
            names=(
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
            ),
        ),
    ),
)
