"""From spans to labels of tokens, for tokenizers of three kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.datasets import Span
from adapters.training.spans.tagging import IGNORED, tags_of, wanted
from tests.tiny_spans import write_tokens_checkpoint
from zoo.tasks.decoding.entities import Pieces
from zoo.tasks.processors.windows import WindowProcessor

TAGS = tags_of(["LOC", "PER"])
PLACES = {tag: place for place, tag in enumerate(TAGS)}
TEXT = "help Angela Merkel, not Z\u00fcrich"
SPANS = (Span("PER", 5, 18), Span("LOC", 24, 30))


def labelled(folder: Path, kind: str, text: str = TEXT) -> list[tuple[str, str]]:
    """Each learnt token's text and label."""
    write_tokens_checkpoint(folder, kind=kind)
    processor = WindowProcessor(folder / "tokenizer.json", max_tokens=48)
    pieces = Pieces(processor.tokenizer)
    (window,) = processor.of_text(text).windows
    labels = wanted(window, text, SPANS, PLACES, pieces).tolist()
    return [
        (text[window.offsets[place, 0] : window.offsets[place, 1]].strip(), TAGS[label])
        for place, label in enumerate(labels)
        if label != IGNORED
    ]


def test_the_tags_of_some_kinds_begin_with_outside() -> None:
    assert TAGS == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2"])
def test_the_first_token_of_each_word_is_learnt(tmp_path: Path, kind: str) -> None:
    found = labelled(tmp_path / kind, kind)
    assert [label for _, label in found if label != "O"] == ["B-PER", "I-PER", "B-LOC"]
    assert TEXT.split()[0].startswith(found[0][0]) and found[0][1] == "O"


def test_signs_are_words_of_their_own_where_the_tokenizer_says_so(tmp_path: Path) -> None:
    assert (",", "O") in labelled(tmp_path / "bert", "bert")
