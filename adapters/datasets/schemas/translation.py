"""Translation: a text and the same in another language."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.datasets.formats import Row
from adapters.datasets.pairs import TranslationWatch
from adapters.datasets.schema import Role, Schema

_SOURCES = ("source", "src", "source_text", "src_text", "source_sentence", "source_lang", "original")
_TARGETS = ("target", "tgt", "target_text", "tgt_text", "target_sentence", "target_lang", "translation")
_CODES = frozenset(
    "ar bg bn ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv ms nl no pl pt ro ru sk sl sr sv ta th tr"
    " uk ur vi zh".split()
)


def _recognises(sample: Sequence[Row]) -> bool:
    """Columns that are called like two languages, or like the two sides of a translation."""
    names = {name.strip().casefold() for row in sample[:20] for name in row.values}
    sides = names & set(_SOURCES) and names & set(_TARGETS) and not names & {"text", "label", "class", "category"}
    return len(names & _CODES) == 2 or bool(sides)


SCHEMA = Schema(
    task="translation",
    needs="a table (CSV, JSONL or Parquet) with a column of texts and one of their translations",
    roles=(
        Role(name="source", kind="text", names=("messages.user", *_SOURCES, "prompt", "input")),
        Role(name="target", kind="answer", names=("messages.assistant", *_TARGETS, "completion", "output")),
    ),
    in_order=True,
    recognises=_recognises,
    watch=TranslationWatch,
)
