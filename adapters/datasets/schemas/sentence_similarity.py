"""Sentence similarity: two texts that are alike, perhaps with a score that says how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.datasets.fold import fold_strictly
from adapters.datasets.formats import Row
from adapters.datasets.schema import Role, Schema

_ONE = ("sentence1", "sentence_1", "sentence_a", "text1", "text_1", "anchor", "query", "source_sentence", "question1")
_OTHER = ("sentence2", "sentence_2", "sentence_b", "text2", "text_2", "positive", "passage", "paraphrase", "question2")
_LABELLED = {"label", "labels", "class", "category", "entailment_label", "gold_label", "target", "y"}


def _recognises(sample: Sequence[Row]) -> bool:
    """Two columns that are called like two sentences, and none that is called like a label."""
    names = {name.strip().casefold() for row in sample[:1] for name in row.values}
    return bool(names & {*_ONE, "text"} and names & {*_OTHER, "text_pair"}) and not names & _LABELLED


def _fault(values: Mapping[str, str]) -> tuple[str, str, str] | None:
    if "score" not in values and fold_strictly(values["text"]) == fold_strictly(values["text_pair"]):
        return "equal_texts", "both texts are the same", "Pair a text with another one that means the same."
    return None


SCHEMA = Schema(
    task="sentence-similarity",
    needs="a table (CSV, JSONL or Parquet) with two columns of texts, perhaps one more of scores",
    roles=(
        Role(name="text", kind="text", names=(*_ONE, "text", "sentence")),
        Role(name="text_pair", kind="text", names=(*_OTHER, "text_pair", "sentences")),
        Role(
            name="score",
            kind="number",
            names=("score", "similarity", "similarity_score", "relatedness", "relatedness_score", "label", "labels"),
            needed=False,
        ),
    ),
    recognises=_recognises,
    fault=_fault,
)
